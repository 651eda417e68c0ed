"""Paths in a config: relative to the pipeline file, and resolved once, when the file is loaded.

    class ScrubConfig(StageConfig):
        recognizers: Annotated[str, LocalPath()] = ""   # a file, folder or glob; a URL stays as it is
        model: Annotated[str, ModelPath()] = "gpt2"     # a folder if there is one of that name, otherwise a model id

    ScrubConfig.model_validate(options, context=folder)

A config dumps its paths as they were written, so that recipes do not depend on where the pipeline lies.
"""

import os
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import core_schema


class ConfigPath(str):
    """A path in a config, as a string: where it leads.

    Attributes:
        written: the path as it was written.
        folder: the pipeline file's folder, where a relative path starts.
    """

    written: str
    folder: str

    def __new__(cls, path: str, written: str, folder: str) -> "ConfigPath":
        """Keep the path with how it was written."""
        result = super().__new__(cls, path)
        result.written, result.folder = written, folder
        return result

    def __getnewargs__(self) -> tuple[str, str, str]:  # type: ignore[override]
        """Arguments for copies and pickles."""
        return str(self), self.written, self.folder


def written(path: str) -> str:
    """Return a path as it was written: for recipes, records and messages."""
    return getattr(path, "written", path)


def resolved(path: str, folder: str) -> str:
    """Return a path that starts in `folder`, absolute and normalized; URLs and empty paths stay as they are."""
    if not path or "://" in path:
        return path
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def is_folder(model: str) -> bool:
    """Check whether a model is a folder, rather than an id; the current directory does not count."""
    return os.path.isabs(model) and os.path.isdir(model)


@dataclass(frozen=True)
class LocalPath:
    """Marks a string of a config as a path; put it after the constraints."""

    def path(self, value: str, folder: str) -> str:
        """Return where the value leads."""
        return resolved(value, folder)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Resolve after every check of the string; dump what was written."""

        def resolve(value: Any, check: core_schema.ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
            if isinstance(value, ConfigPath):
                return value
            text, folder = check(value), os.path.abspath(info.context or ".")
            return ConfigPath(self.path(text, folder), text, folder)

        dumped = core_schema.plain_serializer_function_ser_schema(written, return_schema=core_schema.str_schema())
        return core_schema.with_info_wrap_validator_function(resolve, handler(source), serialization=dumped)


@dataclass(frozen=True)
class ModelPath(LocalPath):
    """Marks a string as a model: resolved only where a folder of that name exists.

    Attributes:
        words: that mean something other than a folder, even if there is one of that name.
        kinds: prefixes before a name, as `spacy` in `spacy:NAME`; the rest is the name.
    """

    words: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def path(self, value: str, folder: str) -> str:
        """Return the folder, or the value."""
        prefix = next((f"{kind}:" for kind in self.kinds if value.startswith(f"{kind}:")), "")
        local = resolved(value.removeprefix(prefix), folder)
        return f"{prefix}{local}" if value not in self.words and os.path.isdir(local) else value

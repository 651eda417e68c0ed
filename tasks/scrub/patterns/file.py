"""Load your own recognizers from a YAML file in Presidio's format, with Presidio's code.

    recognizers:
      - name: Order number
        supported_entity: ORDER_ID
        patterns: [{name: order, regex: 'HD-\\d{6}', score: 0.6}]
        context: [order]
      - name: Staff
        supported_entity: STAFF
        deny_list: [Mr. Example]

Deny lists may name people, so no error message quotes the file.
"""

import hashlib
import logging
import os
from typing import Any

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.files import read_small
from deskloop.contract.paths import written
from deskloop.pipeline.yaml_file import load_yaml

MAX_BYTES, MAX_VALUES = 5_000_000, 500_000  # of the file; deny lists may be long
EXPECTED = "expected a mapping with a list `recognizers`, each with `supported_entity` and `patterns` or `deny_list`"


def silence() -> None:
    """Silence Presidio's logger, which records texts that it cannot check."""
    logger = logging.getLogger("presidio-analyzer")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


def check(path: str) -> None:
    """Check that Presidio can load a file and that none of its patterns matches the empty text.

    Raises:
        ConfigError: with the path and the number of the recognizer, without quoting the file.
    """
    if path:
        load_recognizers(path)


def equipment(path: str) -> dict[str, str | None]:
    """Return what affects detection besides the code: the digest of the file, None if it is missing."""
    if not path:
        return {}
    digest = hashlib.sha256(read_small(path, MAX_BYTES)).hexdigest() if os.path.exists(path) else None
    return {f"recognizers {written(path)}": digest}


def load_recognizers(path: str) -> list[Any]:
    """Load the recognizers of a YAML file, in order, for all languages.

    Returns:
        `PatternRecognizer`s.
    Raises:
        ConfigError: the file is missing, or is not a list of pattern and deny-list recognizers.
    """
    silence()
    import yaml

    try:
        content = load_yaml(read_small(path, MAX_BYTES).decode(), quick=True, most=MAX_VALUES)
    except InputError as error:
        raise ConfigError(f"scrub.recognizers: {error}", path) from None
    except OSError as error:
        raise ConfigError(f"scrub.recognizers: cannot read it ({type(error).__name__})", path) from None
    except (yaml.YAMLError, ValueError, RecursionError):  # some of them quote the file
        raise ConfigError("scrub.recognizers: it is not valid YAML", path) from None
    listed = content.get("recognizers") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ConfigError(f"scrub.recognizers: {EXPECTED}", path)
    problems: list[str] = []
    recognizers = []
    for number, entry in enumerate(listed, 1):
        problem, made = _load(entry, content)
        problems += [f"scrub.recognizers: number {number} {problem}"] if problem else []
        recognizers += made
    if problems:
        raise ConfigError(problems, path)
    return recognizers


def _load(entry: Any, content: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the problem of an entry ("": none) and the recognizers that Presidio builds from it."""
    from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

    if not isinstance(entry, dict) or not (entry.get("patterns") or entry.get("deny_list")):
        return "has neither `patterns` nor `deny_list`; Presidio's own recognizers are listed under `entities`", []
    languages = content.get("supported_languages") or [entry.get("supported_language") or "en"]
    configuration = {
        "supported_languages": languages,
        "global_regex_flags": content.get("global_regex_flags", 26),  # as in Presidio's own file
        "recognizers": [{"type": "custom", **entry}],
    }
    try:
        made = RecognizerRegistryProvider(registry_configuration=configuration).create_recognizer_registry().recognizers
        texts = [recognizer.analyze("", recognizer.supported_entities) for recognizer in made]
        empty = any(_matches_nothing(recognizer) for recognizer in made)
    except Exception as error:  # from Presidio, Pydantic or `regex`, whose messages quote the file
        return f"is rejected by Presidio ({type(error).__name__}): {EXPECTED}", []
    if not made or len(texts) != len(made):
        return f"defines no recognizer: {EXPECTED}", []
    return ("has a pattern that matches the empty text, so it would match everywhere" if empty else ""), made


def _matches_nothing(recognizer: Any) -> bool:
    import regex  # type: ignore[import-untyped]

    flags = recognizer.global_regex_flags
    return any(regex.compile(pattern.regex, flags=flags).match("") is not None for pattern in recognizer.patterns)

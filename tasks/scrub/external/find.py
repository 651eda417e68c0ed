"""Locate a larger detector without loading it: a folder, an installed package, the local cache or the hub."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from deskloop.contract.errors import ConfigError
from deskloop.contract.paths import is_folder, written
from deskloop.contract.quiet import quiet
from tasks.scrub.external.findings import entity_of


@dataclass(frozen=True)
class Model:
    """An available detector.

    Attributes:
        kind: `spacy` or `transformers`.
        source: a folder, a package or an id.
        revision: the commit of an id, else None.
        version: the version of a package, the commit of an id, or a digest of a folder's files.
    """

    kind: str
    source: str
    revision: str | None
    version: str


def find(detector: str) -> Model:
    """Locate a detector.

    Raises:
        ConfigError: it is not available, or does not detect personal values.
    """
    kind, _, name = detector.partition(":")
    look = {"spacy": _find_spacy, "transformers": _find_transformers}.get(kind)
    if look is None or not name:
        raise ConfigError(f"detector {detector!r}: expected spacy:NAME or transformers:NAME", "scrub")
    return look(name, written(detector).partition(":")[2])


def _find_spacy(name: str, shown: str) -> Model:
    import spacy

    local = Path(name)
    if is_folder(name):
        files = sorted(path for path in local.rglob("*") if path.is_file())
        place, version = local, _digest(tuple((str(path), path.stat().st_mtime_ns) for path in files), str(local))
    elif spacy.util.is_package(name):
        place, version = Path(spacy.util.get_package_path(name)), importlib.metadata.version(name)
        place = next(iter(sorted(place.glob("*/meta.json"))), place / "meta.json").parent
    else:
        raise ConfigError(
            f"detector: spaCy pipeline {shown!r} is neither a folder nor an installed package; use a folder (relative "
            f"to the pipeline file), or install the package: python -m spacy download {shown}",
            "scrub",
        )
    try:
        meta = orjson.loads((place / "meta.json").read_bytes())
        labels = [label for of in meta.get("labels", {}).values() for label in of]
    except (OSError, ValueError, AttributeError):
        raise ConfigError(
            f"detector: {shown!r} is not a spaCy pipeline: its meta.json is missing or unreadable", "scrub"
        ) from None
    if not {"ner", "entity_ruler", "span_ruler"} & set(meta.get("pipeline", ())):
        raise ConfigError(f"detector: spaCy pipeline {shown!r} detects no entities (it has no `ner`)", "scrub")
    _check_labels(shown, [label for label in labels if isinstance(label, str)])
    return Model("spacy", str(place if is_folder(name) else name), None, version)


def _find_transformers(name: str, shown: str) -> Model:
    from transformers import AutoConfig

    from tasks.pretrained import resolve

    try:
        model = resolve(name, "detector")
    except ConfigError as error:
        raise ConfigError(error.problems, "scrub") from None
    if model.folder is not None:
        try:
            with quiet():
                config = AutoConfig.from_pretrained(str(model.folder))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"detector: the config.json of {shown!r} cannot be read ({type(error).__name__})", "scrub"
            ) from None
        if not any(name.endswith("ForTokenClassification") for name in config.architectures or ()):
            raise ConfigError(f"detector: {shown!r} is not a token classifier such as dslim/bert-base-NER", "scrub")
        _check_labels(shown, list(config.id2label.values()))
    return Model("transformers", model.source, model.revision, model.version)


def _check_labels(name: str, labels: Sequence[str]) -> None:
    if labels and not any(entity_of(label) for label in labels):
        shown = ", ".join(sorted(set(labels))[:8])
        raise ConfigError(f"detector: no label of {name!r} stands for personal values: {shown}", "scrub")


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int], ...], root: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path, _ in files:
        with open(path, "rb") as file:
            digest.update(str(Path(path).relative_to(root)).encode() + hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()

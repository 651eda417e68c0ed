"""Scrub: the only way out of the raw zone. Decode the texts, identify the language, replace personal values.

A value is personal if the source declares it (`known`), if patterns, cues, the tagger or the dialogue rules detect it,
or if the pipeline file lists it; every other occurrence of it in the same conversation is replaced as well. An
independent scan checks the result (`tasks.residue`), and recall is measured on planted values (`quality`).
"""

from typing import Any

import pandas as pd

from deskloop.contract.errors import ConfigError
from deskloop.contract.schema import CONVERSATION
from deskloop.contract.stage import Context, RowStage
from tasks.residue import residues
from tasks.scrub.config import ScrubConfig
from tasks.scrub.known import entity_name
from tasks.scrub.language import UNKNOWN, identify
from tasks.scrub.opaque import names_identifier
from tasks.scrub.placeholders import Conversation, replace_values
from tasks.scrub.quality import measure

__all__ = ["STAGE", "ScrubConfig", "check", "equipment", "scrub"]

EXTERNAL = ("spacy:", "transformers:")


def scrub(conversations: pd.DataFrame, config: ScrubConfig, context: Context) -> pd.DataFrame:
    """Decode and scrub every text of every conversation. Conversations do not influence each other.

    Args:
        conversations: (n, raw schema) with `turns`, `metadata`, `known`; not modified.
        config: what to detect, how to replace it, and which languages to expect.
        context: provides the key for pseudonyms and hashes.
    Returns:
        (n, schema), same rows in the same order, without `known`; `turns`, `metadata`, `entities` and `language` are
        set. `reject` is `residue` where the independent scan still finds a personal value, `unknown_language` where
        the config rejects such conversations, else null.
    Raises:
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    turns = [list(cell) if cell is not None else [] for cell in conversations["turns"]]
    metadata = [dict(cell) if isinstance(cell, dict) else {} for cell in _column(conversations, "metadata")]
    known = [cell if isinstance(cell, dict) else None for cell in _column(conversations, "known")]
    batch = [
        Conversation(
            [*(turn["text"] for turn in said), *extra.values()],
            values,
            [turn["role"] for turn in said],
            [at for at, name in enumerate(extra, len(said)) if names_identifier(name)],
        )
        for said, extra, values in zip(turns, metadata, known, strict=True)
    ]
    replace_values(batch, config, context.key)
    texts = [[text.text for text in conversation.texts] for conversation in batch]
    turns = [
        [{**turn, "text": text} for turn, text in zip(said, new, strict=False)]
        for said, new in zip(turns, texts, strict=True)
    ]
    metadata = [
        {name: None if old is None else text for (name, old), text in zip(extra.items(), new[len(said) :], strict=True)}
        for extra, said, new in zip(metadata, turns, texts, strict=True)
    ]
    languages = [_language(said) for said in turns]
    result = conversations.drop(columns="known", errors="ignore")
    result["language"] = pd.Series(languages, index=result.index, dtype="str")
    entities = [_entities(conversation, len(said)) for conversation, said in zip(batch, turns, strict=True)]
    for name, cells in (("turns", turns), ("metadata", metadata), ("entities", entities)):
        result[name] = pd.Series(cells, index=result.index, dtype=object)
    rejects = [
        _residue(conversation, values, config) or _reject(language, config)
        for conversation, values, language in zip(batch, known, languages, strict=True)
    ]
    result["reject"] = pd.Series(rejects, index=result.index, dtype=object)
    return result


def _column(conversations: pd.DataFrame, name: str) -> list[Any]:
    return list(conversations[name]) if name in conversations else [None] * len(conversations)


def _entities(conversation: Conversation, turns: int) -> list[dict[str, Any]]:
    """Return the schema's `entities`: the places in the turns where a value was replaced."""
    return [
        {"turn": number, "start": span.start, "end": span.end, "type": span.type}
        for number, spans in enumerate(conversation.spans[:turns])
        for span in spans
    ]


def _language(turns: list[dict[str, Any]]) -> str:
    return identify(" ".join(turn["text"] for turn in turns if turn["role"] == "customer"))


def _residue(conversation: Conversation, known: dict[str, Any] | None, config: ScrubConfig) -> str | None:
    """Return `residue` if the independent scan still finds a personal value; types with mode `keep` are skipped."""
    modes = dict(config.replace)
    default = modes.pop("default", "placeholder")
    wanted = {name: values for name, values in (known or {}).items() if modes.get(entity_name(name), default) != "keep"}
    return "residue" if residues(conversation.covered, wanted, config.keep) else None


def _reject(language: str, config: ScrubConfig) -> str | None:
    unexpected = language not in (UNKNOWN, *config.languages)
    return "unknown_language" if unexpected and config.unknown_language == "reject" else None


def check(config: ScrubConfig, context: Context) -> None:
    """Check up front that the detector and the recognizers' file can be used, and that each floor has an effect.

    Raises:
        ConfigError: one cannot or has none; the message says what to install or to change.
    """
    from tasks.scrub.quality import planted_types

    planted = planted_types(config)
    if unplanted := sorted(config.min_recall_by_type.keys() - {"default", *planted}):
        raise ConfigError(
            f"min_recall_by_type: no {unplanted[0]} is planted, so its minimum has no effect; planted types: "
            f"{', '.join(planted) or 'none'}",
            "scrub",
        )
    if config.recognizers:
        from tasks.scrub.patterns import file

        file.check(config.recognizers)
    if config.detector.startswith(EXTERNAL):
        from tasks.scrub import external

        external.check(config.detector)


def equipment(config: ScrubConfig, context: Context) -> dict[str, str | None]:
    """Return what affects detection besides code and options: the digests of the model and the recognizers' file."""
    versions: dict[str, str | None] = {}
    if config.recognizers:
        from tasks.scrub.patterns import file

        versions |= file.equipment(config.recognizers)
    if config.detector.startswith(EXTERNAL):
        from tasks.scrub import external

        return versions | external.equipment(config.detector)
    if config.detector == "embedded":
        from tasks.scrub import tagger

        versions["tagger"] = tagger.digest()[:16]
    return versions


STAGE = RowStage(
    name="scrub",
    dataset="scrubbed",
    summary="Finds personal data and replaces it by placeholders such as <PERSON_1>.",
    suite="expectations.scrubbed",
    report="tasks.scrub.report",
    config=ScrubConfig,
    run=scrub,
    check=check,
    equipment=equipment,
    measure=measure,
    needs=frozenset({"turns"}),
    provides=frozenset({"entities", "language", "scrubbed"}),
    zone=("raw", "clean"),
    schema=CONVERSATION,
    keyed=True,
    libraries=("presidio-analyzer", "phonenumbers", "ftfy", "py3langid", "faker", "symspellpy"),
)

"""Encode conversations into training windows: token ids, and labels that mask everything but the agent's words.

The tokenizer is the fitted artifact: for `tiny` it is trained on the training split, otherwise it is the base's own. In
both cases each placeholder has one token (P8).
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from deskloop.contract.errors import ConfigError
from deskloop.contract.hub import check_model
from deskloop.contract.paths import ModelPath, is_folder, written
from deskloop.contract.placeholders import PLACEHOLDER, entity_type, hide, renumber
from deskloop.contract.quiet import quiet
from deskloop.contract.schema import ENCODED
from deskloop.contract.stage import Context, FittedStage, StageConfig
from tasks.encode import tiny
from tasks.encode import tokenizer as tokenizer_module
from tasks.encode.rendering import Segment, segments, token_ids
from tasks.encode.windows import IGNORED, cover
from tasks.residue import Expression, residues

CHUNK = 256  # conversations tokenized in one call
MOST_NUMBERS = 256  # placeholders of one type
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")

# Entity types of Presidio's and deskloop's recognizers; later batches may contain types that the first one does not.
ENTITY_TYPES = (
    "ACCOUNT", "ADDRESS", "CREDIT_CARD", "CRYPTO", "DATE_OF_BIRTH", "DATE_TIME", "EMAIL_ADDRESS", "IBAN_CODE", "ID",
    "IP_ADDRESS", "LOCATION", "MAC_ADDRESS", "MEDICAL_LICENSE", "NRP", "ORDER_ID", "ORGANIZATION", "PASSWORD",
    "PERSON", "PHONE_NUMBER", "UK_NHS", "URL", "USERNAME", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN",
    "US_PASSPORT", "US_SSN",
)  # fmt: skip


class EncodeConfig(StageConfig):
    """Config of `encode`."""

    base: Annotated[str, ModelPath(words=("tiny",))] = Field(
        "tiny", description="`tiny`, a Hugging Face model id, or a folder (relative to this file)"
    )
    max_length: int = Field(512, ge=16, le=1_048_576, description="longest training window, in tokens")
    vocabulary: int = Field(4096, ge=300, le=262_144, description="tokens of `tiny`'s tokenizer; other bases: unused")
    placeholders: int = Field(
        8, ge=1, le=1000, description="fewest placeholders per entity type that get a token: <PERSON_1> to <PERSON_8>"
    )
    keep: tuple[Expression, ...] = Field(
        (),
        description="as scrub's `keep`: regular expressions of text that is not personal, such as long product codes",
    )


def check(config: EncodeConfig, context: Context) -> None:
    """Check that the base is available.

    Raises:
        ConfigError: it is neither a folder, nor cached, nor on the hub.
    """
    if config.base != "tiny":
        check_model(config.base, f"step {context.step!r}")


def equipment(config: EncodeConfig, context: Context) -> dict[str, str | None]:
    """Identify a local base's tokenizer by its digest, because the content of the folder may change."""
    if not is_folder(config.base):
        return {}
    files = {path.name: path.read_bytes() for path in Path(config.base).glob("*") if path.name in TOKENIZER_FILES}
    return {f"tokenizer of {written(config.base)}": tokenizer_module.digest(files)}


def fit(rows: pd.DataFrame, config: EncodeConfig, context: Context) -> dict[str, bytes]:
    """Train or adapt the tokenizer.

    Args:
        rows: (n, schema) with `turns`, `entities`, `split`, `origin`; only logged training rows count, so that
            augmentation changes no token of the evaluation data. Not modified.
    Returns:
        The tokenizer's files, for `tasks.encode.tokenizer.load`.
    Raises:
        ConfigError: the base's tokenizer is not available or not a fast one, or its context is too short.
    """
    train = rows[rows["split"] == "train"] if "split" in rows else rows
    train = train[train["origin"] == "log"] if "origin" in train else train
    if config.base == "tiny":
        texts = (turn["text"] for turns in train["turns"] for turn in turns)
        tokenizer = tokenizer_module.load(tiny.train_tokenizer(texts, config.vocabulary), "tiny")
    else:
        tokenizer = _pretrained(config.base)
    if config.max_length > tokenizer.model_max_length:
        raise ConfigError(
            f"max_length {config.max_length} is more than the {tokenizer.model_max_length} tokens of "
            f"{written(config.base)!r}",
            f"step {context.step!r}",
        )
    return tokenizer_module.to_files(tokenizer_module.adapt(tokenizer, _placeholders(train, config.placeholders)))


def encode(rows: pd.DataFrame, config: EncodeConfig, context: Context) -> pd.DataFrame:
    """Cut conversations into windows of at most `max_length` tokens; each supervised token is a label in one window.

    Args:
        rows: (n, schema) with `turns`; not modified.
        context: its artifact holds the tokenizer's files.
    Returns:
        (windows, ENCODED and `reject`): a conversation's only window keeps its `row_id`; several windows append `/w1`,
        `/w2` and so on. A rejected conversation (`residue` for remaining personal data, `no_supervised_tokens`,
        `unknown_placeholder`) is one row without tokens.
    Raises:
        DeskloopError: the base's chat template cannot be used.
        DataError: a pattern of `keep` takes too long on a text.
    """
    tokenizer = tokenizer_module.load(context.artifact, config.base)
    placeholders = {text for text in tokenizer.get_added_vocab() if PLACEHOLDER.fullmatch(text)}
    columns = [name for name in ENCODED.names if name in rows.columns and name != "row_id"]
    result: list[dict[str, Any]] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows.iloc[start : start + CHUNK]
        renumbered = [renumber(turns) for turns in chunk["turns"]]
        reasons = [
            _reason(turns, hide(*cells)[0], placeholders, config.keep)
            for turns, *cells in zip(renumbered, chunk["turns"], chunk["entities"], strict=True)
        ]
        rendered = [
            [] if reason else segments(tokenizer, turns) for reason, turns in zip(reasons, renumbered, strict=True)
        ]
        ids = iter(token_ids(tokenizer, [part for parts in rendered for part in parts]))
        records: list[dict[str, Any]] = chunk[columns].to_dict("records")  # type: ignore[assignment]
        for row_id, values, reason, parts in zip(chunk["row_id"], records, reasons, rendered, strict=True):
            windows = _windows(tokenizer, parts, [next(ids) for _ in parts], config.max_length)
            count = len(windows)
            names = [row_id] if count == 1 else [f"{row_id}/w{number}" for number in range(1, count + 1)]
            for name, window in zip(names, windows, strict=True):
                result.append({**values, **window, "row_id": name, "reject": None})
            if not windows:
                reject = reason or "no_supervised_tokens"
                result.append({**values, **_window([], [], 0), "row_id": row_id, "reject": reject})
    encoded = pd.DataFrame(result, columns=[*ENCODED.names, "reject"])
    return encoded.astype({"reject": "str"})


def _windows(
    tokenizer: Any, parts: Sequence[Segment], ids: Sequence[list[int]], max_length: int
) -> list[dict[str, Any]]:
    """Return the windows that contain supervised tokens, as columns of ENCODED."""
    tokens = [token for part_ids in ids for token in part_ids]
    by_token = [part for part, part_ids in zip(parts, ids, strict=True) for _ in part_ids]
    labels = [token if part.supervised else IGNORED for part, token in zip(by_token, tokens, strict=True)]
    unpredicted = labels[:1] not in ([], [IGNORED])  # no logits predict the first token
    labels[:1] = [IGNORED for _ in labels[:1]]
    turns = [-1 if part.turn is None else part.turn for part in by_token]
    header = turns.count(-1)
    windows = cover(turns, max_length)
    sizes = _bytes(tokenizer, parts, ids, exact=len(windows) > 1 or unpredicted)
    sizes[:1] = [0 if unpredicted else size for size in sizes[:1]]
    result = []
    for window in windows:
        new = slice(window.new, window.end)
        if any(label != IGNORED for label in labels[new]):
            front = tokens[:header] if window.context else []
            context = [*front, *tokens[window.context : window.new]]
            masked = [IGNORED] * len(context)
            result.append(_window([*context, *tokens[new]], [*masked, *labels[new]], sum(sizes[new])))
    return result


def _bytes(tokenizer: Any, parts: Sequence[Segment], ids: Sequence[list[int]], exact: bool) -> list[int]:
    """Return UTF-8 bytes of supervised text by token; unless `exact`, all bytes of a segment are at its first token."""
    result = []
    for part, part_ids in zip(parts, ids, strict=True):
        sizes = [0] * len(part_ids)
        if part.supervised and part.written:
            total = len(part.text.encode())
            if exact:
                encoded = tokenizer(
                    part.text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
                )
                ends = [len(part.text[:end].encode()) for _, end in encoded["offset_mapping"]]
                reached = list(accumulate([*ends[:-1], total], max, initial=0))
                sizes = [after - before for before, after in pairwise(reached)]
            else:
                sizes[0] = total
        result += sizes
    return result


def _window(tokens: list[int], labels: list[int], size: int) -> dict[str, Any]:
    return {
        "input_ids": tokens,
        "labels": labels,
        "supervised_tokens": sum(label != IGNORED for label in labels),
        "supervised_bytes": size,
    }


def _reason(
    turns: Sequence[dict[str, Any]], hidden: Sequence[dict[str, Any]], placeholders: set[str], keep: Sequence[str]
) -> str | None:
    # The last check of the text: detectors cannot read token ids. `hidden` has no pseudonyms, which look like values.
    if residues([turn["text"] for turn in hidden], keep=keep):
        return "residue"
    if not any(turn["role"] == "agent" and turn["supervise"] for turn in turns):
        return "no_supervised_tokens"
    if any(text not in placeholders for turn in turns for text in PLACEHOLDER.findall(turn["text"])):
        return "unknown_placeholder"
    return None


def _placeholders(train: pd.DataFrame, least: int) -> list[str]:
    """Return every `<TYPE_n>` that gets a token: the usual types and those in training, up to their largest number."""
    highest = dict.fromkeys(ENTITY_TYPES, least)
    texts = (turn["text"] for turns in train["turns"] for turn in renumber(turns))
    for placeholder in {placeholder for text in texts for placeholder in PLACEHOLDER.findall(text)}:
        name = entity_type(placeholder)
        # A customer may write <X_999999999>: the number of tokens is bounded, and rows beyond it are rejected.
        number = min(int(placeholder[1:-1].rpartition("_")[2]), MOST_NUMBERS)
        highest[name] = max(highest.get(name, least), number)
    return [f"<{name}_{number}>" for name in sorted(highest) for number in range(1, highest[name] + 1)]


def _pretrained(base: str) -> Any:
    from transformers import AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(base)
        except (OSError, ValueError) as error:
            problem = f"base {written(base)!r} is neither a folder with a tokenizer nor a model that can be downloaded"
            raise ConfigError(f"{problem} ({type(error).__name__})", "encode") from None
    if not tokenizer.is_fast:
        raise ConfigError(f"base {written(base)!r} has no fast tokenizer (tokenizer.json)", "encode")
    return tokenizer


STAGE = FittedStage(
    name="encode",
    dataset="encoded",
    summary="Turns text into tokens, and marks those that the loss covers: the agents' replies.",
    words={"no_supervised_tokens": "no agent's words to learn from"},
    added="from splitting long conversations",
    suite="expectations.encoded",
    config=EncodeConfig,
    run=encode,
    check=check,
    equipment=equipment,
    fit=fit,
    refit_growth=None,
    fit_fields=("base", "vocabulary", "placeholders"),
    needs=frozenset({"verified_splits", "turns"}),
    provides=frozenset({"input_ids"}),
    schema=ENCODED,
    by_split=True,
    suffix="_encoded",
    libraries=("tokenizers", "transformers"),
)

"""Encode conversations into training windows: token ids, and labels that show the loss the agent's words only.

The tokenizer is the fitted artifact: trained on the training split for `tiny`, otherwise the base's own; either way
with one token for each placeholder (P8).
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
from tasks.encode.windows import cover
from tasks.residue import Expression, residues

UNSEEN = -100
CHUNK = 256  # conversations tokenized in one call
MOST_NUMBERS = 256  # placeholders of one type
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")

# What Presidio's and deskloop's own recognizers call things; a later batch may hold types the first one did not.
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
        8, ge=1, le=1000, description="placeholders of each entity type that get a token, at least: <PERSON_1> to _8"
    )
    keep: tuple[Expression, ...] = Field(
        (),
        description="as scrub's `keep`: regular expressions of what is not personal here, such as long product codes",
    )


def check(config: EncodeConfig, context: Context) -> None:
    """Refuse a base that cannot be had.

    Raises:
        ConfigError: it is neither a folder, nor cached, nor on the hub.
    """
    if config.base != "tiny":
        check_model(config.base, f"step {context.step!r}")


def equipment(config: EncodeConfig, context: Context) -> dict[str, str | None]:
    """A local base's tokenizer by its digest: a folder may be filled anew under the same name."""
    if not is_folder(config.base):
        return {}
    files = {path.name: path.read_bytes() for path in Path(config.base).glob("*") if path.name in TOKENIZER_FILES}
    return {f"tokenizer of {written(config.base)}": tokenizer_module.digest(files)}


def fit(rows: pd.DataFrame, config: EncodeConfig, context: Context) -> dict[str, bytes]:
    """Make the tokenizer.

    Args:
        rows: (n, schema) with `turns`, `entities`, `split`, `origin`; only training rows from a log are looked at, so
            that augmentation changes no token of the evaluation data. Not modified.
    Returns:
        The tokenizer's files, to be loaded with `tasks.encode.tokenizer.load`.
    Raises:
        ConfigError: the base has no tokenizer that can be had, or none that is fast, or too short a context.
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
    """Cut conversations into windows of at most `max_length` tokens; every supervised token is in one's labels.

    Args:
        rows: (n, schema) with `turns`; not modified.
        context: its artifact holds the tokenizer's files.
    Returns:
        (windows, ENCODED and `reject`): a conversation's only window keeps its `row_id`, several get `/w1`, `/w2` and
        so on. Rejected conversations (`residue`: something personal is left, `no_supervised_tokens`,
        `unknown_placeholder`) are one row without tokens.
    Raises:
        DeskloopError: the base's chat template cannot be used.
        DataError: a pattern of `keep` takes too long on a text.
    """
    tokenizer = tokenizer_module.load(context.artifact, config.base)
    known = {text for text in tokenizer.get_added_vocab() if PLACEHOLDER.fullmatch(text)}
    kept = [name for name in ENCODED.names if name in rows.columns and name != "row_id"]
    result: list[dict[str, Any]] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows.iloc[start : start + CHUNK]
        said = [renumber(turns) for turns in chunk["turns"]]
        reasons = [
            _reason(turns, hide(*cells)[0], known, config.keep)
            for turns, *cells in zip(said, chunk["turns"], chunk["entities"], strict=True)
        ]
        parts = [[] if reason else segments(tokenizer, turns) for reason, turns in zip(reasons, said, strict=True)]
        ids = iter(token_ids(tokenizer, [part for some in parts for part in some]))
        records: list[dict[str, Any]] = chunk[kept].to_dict("records")  # type: ignore[assignment]
        for row_id, values, reason, some in zip(chunk["row_id"], records, reasons, parts, strict=True):
            cut = _cut(tokenizer, some, [next(ids) for _ in some], config.max_length)
            names = [row_id] if len(cut) == 1 else [f"{row_id}/w{number}" for number in range(1, len(cut) + 1)]
            result += [
                {**values, **window, "row_id": name, "reject": None} for name, window in zip(names, cut, strict=True)
            ]
            if not cut:
                reject = reason or "no_supervised_tokens"
                result.append({**values, **_window([], [], 0), "row_id": row_id, "reject": reject})
    encoded = pd.DataFrame(result, columns=[*ENCODED.names, "reject"])
    return encoded.astype({"reject": "str"})


def _cut(tokenizer: Any, parts: Sequence[Segment], ids: Sequence[list[int]], max_length: int) -> list[dict[str, Any]]:
    """The windows with supervised tokens in them, as columns of ENCODED."""
    tokens = [token for some in ids for token in some]
    labels = [token if part.supervised else UNSEEN for part, some in zip(parts, ids, strict=True) for token in some]
    unpredicted = labels[:1] not in ([], [UNSEEN])  # nothing predicts a first token
    labels[:1] = [UNSEEN for _ in labels[:1]]
    turns = [-1 if part.turn is None else part.turn for part, some in zip(parts, ids, strict=True) for _ in some]
    header = turns.count(-1)
    found = cover(turns, max_length)
    measured = _bytes(tokenizer, parts, ids, exact=len(found) > 1 or unpredicted)
    measured[:1] = [0 if unpredicted else size for size in measured[:1]]
    result = []
    for window in found:
        seen = labels[window.new : window.end]
        if any(label != UNSEEN for label in seen):
            front = tokens[:header] if window.context else []
            context = [*front, *tokens[window.context : window.new]]
            size = sum(measured[window.new : window.end])
            result.append(
                _window([*context, *tokens[window.new : window.end]], [*[UNSEEN] * len(context), *seen], size)
            )
    return result


def _bytes(tokenizer: Any, parts: Sequence[Segment], ids: Sequence[list[int]], exact: bool) -> list[int]:
    """UTF-8 bytes of supervised text by token; unless `exact`, a segment's all stand at its first token."""
    result = []
    for part, some in zip(parts, ids, strict=True):
        sizes = [0] * len(some)
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
        "supervised_tokens": sum(label != UNSEEN for label in labels),
        "supervised_bytes": size,
    }


def _reason(
    turns: Sequence[dict[str, Any]], hidden: Sequence[dict[str, Any]], known: set[str], keep: Sequence[str]
) -> str | None:
    # The last look at a text: what follows is numbers, which no detector reads. Pseudonyms look like values.
    if residues([turn["text"] for turn in hidden], keep=keep):
        return "residue"
    if not any(turn["role"] == "agent" and turn["supervise"] for turn in turns):
        return "no_supervised_tokens"
    if any(text not in known for turn in turns for text in PLACEHOLDER.findall(turn["text"])):
        return "unknown_placeholder"
    return None


def _placeholders(train: pd.DataFrame, least: int) -> list[str]:
    """Every `<TYPE_n>` that gets a token: usual types and those seen in training, up to the largest number seen."""
    highest = dict.fromkeys(ENTITY_TYPES, least)
    said = (turn["text"] for turns in train["turns"] for turn in renumber(turns))
    for text in {placeholder for one in said for placeholder in PLACEHOLDER.findall(one)}:
        name = entity_type(text)
        # A customer may write <X_999999999>: tokens are made up to a bound, and rows past it rejected.
        number = min(int(text[1:-1].rpartition("_")[2]), MOST_NUMBERS)
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
    suite="expectations.encoded",
    config=EncodeConfig,
    run=encode,
    check=check,
    equipment=equipment,
    fit=fit,
    refit_growth=None,
    fit_fields=("base", "vocabulary", "placeholders"),
    needs=frozenset({"proved_splits", "turns"}),
    provides=frozenset({"input_ids"}),
    schema=ENCODED,
    by_split=True,
    suffix="_encoded",
    libraries=("tokenizers", "transformers"),
)

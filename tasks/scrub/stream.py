"""Scrub JSON Lines as a stream: `deskloop scrub [FILE or -]`.

Input: `{"id", "text" or "turns": [{"role", "text"}], "known"?: {type: [values]}}`. Output: the same object scrubbed,
without `known`, plus `"spans": [{"turn", "start", "end", "entity"}]` in character offsets of the input's texts (`turn`
is 0 for `text`). Strings in all other fields except `role` are scrubbed as well, without spans; numbers stay. An
unusable line becomes `{"id", "error"}`, and the stream continues.

Identifiers (`id`, `customer_id`, `ticketId` ...) are never rewritten in part. An opaque identifier passes unchanged, or
is hashed as a whole on request; one that is itself personal, such as an e-mail address, is always hashed as a whole.
"""

import itertools
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from tasks.scrub.config import ScrubConfig
from tasks.scrub.opaque import hashed, names_identifier
from tasks.scrub.placeholders import Conversation, replace_values

BATCH = 256  # lines
CHUNK = 1 << 20  # maximum bytes per read
LONGEST = 10_000_000  # bytes of a line; a longer one is an error and is not kept in memory
TOO_LONG = b'"line_too_long"'  # replaces such a line
BODY = frozenset(["text", "turns", "spans"])

Visit = Callable[[str, Any], Any]  # (field name, string or identifier in it) -> its replacement


@dataclass(frozen=True)
class Identifiers:
    """How to treat identifiers.

    Attributes:
        key: secret bytes for hashes; by default random, so that hashes are comparable within one process only.
        always: also hash opaque identifiers, including numbers.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    always: bool = False


@dataclass(frozen=True)
class _Line:
    """A parsed line: its object (or an error object), how many of its texts are turns, and its conversation."""

    content: dict[str, Any]
    turns: int
    conversation: Conversation
    error: bool = False


def scrub_lines(
    lines: Iterable[bytes],
    config: ScrubConfig,
    key: bytes = b"",
    tally: Counter[str] | None = None,
    identifiers: Identifiers | None = None,
) -> Iterator[bytes]:
    """Scrub JSON Lines in order, one output line per non-blank input line.

    Args:
        lines: JSON objects in UTF-8, with or without a line feed.
        config: what to detect and how to replace it; the language options have no effect.
        key: secret bytes for pseudonyms and hashes.
        tally: counts `lines`, `errors` and each detected entity type; modified.
        identifiers: how to treat identifiers; by default, opaque ones pass unchanged.
    Yields:
        JSON objects, each with a line feed.
    Raises:
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    remaining, counts = iter(lines), Counter[str]() if tally is None else tally
    identifiers = identifiers or (Identifiers(key) if key else Identifiers())
    while batch := list(itertools.islice(remaining, BATCH)):
        yield from _scrub_batch(batch, config, key, counts, identifiers)


def scrub_stream(
    file: BinaryIO,
    config: ScrubConfig,
    key: bytes = b"",
    tally: Counter[str] | None = None,
    identifiers: Identifiers | None = None,
) -> Iterator[bytes]:
    """Scrub lines as they arrive: everything that a pipe has delivered is written before the next read blocks.

    Args:
        file: binary and buffered (it has `read1`); the other arguments are those of `scrub_lines`.
    """
    identifiers = identifiers or (Identifiers(key) if key else Identifiers())
    for batch in _arriving(file):
        yield from scrub_lines(batch, config, key, tally, identifiers)


def _arriving(file: Any) -> Iterator[list[bytes]]:
    """Yield batches of complete lines, each with all that one read completed."""
    pieces: list[bytes] = []
    size = 0
    while chunk := file.read1(CHUNK):
        *whole, rest = chunk.split(b"\n")
        if whole:
            first = TOO_LONG if size + len(whole[0]) > LONGEST else b"".join([*pieces, whole[0]])
            yield [first, *whole[1:]]
            pieces, size = [], 0
        size += len(rest)
        if size > LONGEST:
            pieces = []
        else:
            pieces.append(rest)
    yield [TOO_LONG if size > LONGEST else b"".join(pieces)]


def _scrub_batch(
    lines: Sequence[bytes], config: ScrubConfig, key: bytes, tally: Counter[str], identifiers: Identifiers
) -> Iterator[bytes]:
    batch = [_parse(line) for line in lines if line.strip()]
    replace_values([line.conversation for line in batch], config, key)
    for line in batch:
        result = _scrubbed(line, identifiers)
        tally["lines"] += 1
        tally["errors"] += line.error
        tally.update(span["entity"] for span in result.get("spans", ()) if not line.error)
        yield orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE)


def _parse(line: bytes) -> _Line:
    if line is TOO_LONG:
        return _error(None, "line_too_long")
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError:
        return _error(None, "invalid_json")
    error = _problem(content)
    if error:
        identity = content.get("id") if isinstance(content, dict) else None
        return _error(identity if isinstance(identity, str | int) else None, error)
    known = content.pop("known", None)
    turns = content.get("turns")
    texts = [content["text"]] if turns is None else [turn.get("text") for turn in turns]
    roles = ["customer"] if turns is None else [_role(turn) for turn in turns]
    others: list[tuple[str, str]] = []
    _visit_others(content, lambda name, value: others.append((name, str(value))))
    ids = [at for at, (name, _) in enumerate(others, len(texts)) if names_identifier(name)]
    values = [value for _, value in others]
    return _Line(content, len(texts), Conversation([*texts, *values], known, roles, ids))


def _error(identity: str | int | None, error: str) -> _Line:
    content = {"id": identity, "error": error}
    others = [] if identity is None else [str(identity)]
    return _Line(content, 0, Conversation(others, ids=range(len(others))), error=True)


def _role(turn: dict[str, Any]) -> str:
    role = turn.get("role")
    return role if isinstance(role, str) else ""


def _problem(content: Any) -> str | None:
    """Return the error code of a line that cannot be scrubbed, or None."""
    if not isinstance(content, dict):
        return "not_an_object"
    turns, text, known = content.get("turns"), content.get("text"), content.get("known")
    if (turns is None) == (text is None):
        return "needs_text_or_turns"
    if text is not None and not isinstance(text, str):
        return "text_is_no_string"
    if turns is not None and not (isinstance(turns, list) and all(_is_turn(turn) for turn in turns)):
        return "bad_turns"
    lists = isinstance(known, dict) and all(isinstance(values, list) for values in known.values())
    return None if known is None or lists else "bad_known"


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("text"), str | None)


def _scrubbed(line: _Line, identifiers: Identifiers) -> dict[str, Any]:
    texts = line.conversation.texts
    places = iter(range(line.turns, len(texts)))

    def treat(name: str, value: Any) -> Any:
        place = next(places)
        if not names_identifier(name):
            return texts[place].text
        personal = bool(line.conversation.spans[place])
        return hashed(str(value), identifiers.key) if personal or identifiers.always else value

    if line.error:
        identity = line.content["id"]
        return line.content if identity is None else {**line.content, "id": treat("id", identity)}
    result = _visit_others(line.content, treat)
    if line.content.get("turns") is None:
        result["text"] = texts[0].text
    else:
        result["turns"] = [
            {**turn, "text": text.text} for turn, text in zip(result["turns"], texts[: line.turns], strict=True)
        ]
    result["spans"] = [span for number in range(line.turns) for span in line.conversation.replaced(number)]
    return result


def _visit_others(content: dict[str, Any], visit: Visit) -> dict[str, Any]:
    """Return a copy with `visit` applied to every identifier and to every string that is neither a text nor a role."""
    result = {name: value if name in BODY else _visit(name, value, visit) for name, value in content.items()}
    if content.get("turns") is not None:
        result["turns"] = [
            {name: value if name in ("role", "text") else _visit(name, value, visit) for name, value in turn.items()}
            for turn in content["turns"]
        ]
    return result


def _visit(field: str, value: Any, visit: Visit) -> Any:
    if isinstance(value, dict):
        return {name: _visit(name, item, visit) for name, item in value.items()}
    if isinstance(value, list):
        return [_visit(field, item, visit) for item in value]
    number = isinstance(value, int) and not isinstance(value, bool) and names_identifier(field)
    return visit(field, value) if isinstance(value, str) or number else value

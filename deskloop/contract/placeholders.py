"""Placeholders such as `<PERSON_1>`: they replace personal values, and no later stage may break them (P8)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*_[0-9]+>")
LARGE = 10  # digits of a number that is not counted: a hash, or text of a customer
_HASH = re.compile(rf"<([A-Z][A-Z_]*)_[0-9]{{{LARGE},}}>")

Turns = Sequence[Mapping[str, Any]]


def find(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Find every placeholder of a conversation, as the schema's `entities`.

    Args:
        turns: the turns of one conversation; not modified.
    Returns:
        One `{"turn", "start", "end", "type"}` for each placeholder, in order; `start` and `end` count characters of
        that turn's text, so that `turns[turn]["text"][start:end]` is the placeholder.
    """
    return [
        {"turn": number, "start": match.start(), "end": match.end(), "type": entity_type(match[0])}
        for number, turn in enumerate(turns)
        for match in PLACEHOLDER.finditer(turn["text"] or "")
    ]


def entity_type(placeholder: str) -> str:
    """Return the entity type of a placeholder: `PERSON` of `<PERSON_1>`."""
    return placeholder[1:].rpartition("_")[0]


def generalise(text: str) -> str:
    """Remove the numbers of placeholders: `<PERSON_2>` becomes `<PERSON>`."""
    return PLACEHOLDER.sub(lambda match: f"<{entity_type(match[0])}>", text)


def renumber(turns: Turns) -> list[dict[str, Any]]:
    """Replace hashes in placeholders with small numbers, in order of appearance, after the existing ones.

    A model needs a token for each placeholder, and can have them for small numbers alone.
    """
    if not any(_HASH.search(turn["text"] or "") for turn in turns):
        return [dict(turn) for turn in turns]
    last = _last(turns)
    made: dict[str, str] = {}

    def small(match: re.Match[str]) -> str:
        if match[0] not in made:
            last[match[1]] += 1
            made[match[0]] = f"<{match[1]}_{last[match[1]]}>"
        return made[match[0]]

    return [{**turn, "text": _HASH.sub(small, turn["text"] or "")} for turn in turns]


def hide(turns: Turns, entities: Iterable[Mapping[str, Any]] | None) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Replace pseudonyms and the like with placeholders, so that later stages leave them unchanged.

    Args:
        turns, entities: of one conversation; not modified. Entities that are not in the text are ignored.
    Returns:
        The turns, and placeholder -> what it covers, for `show`.
    """
    covered = [dict(turn) for turn in turns]
    last: dict[str, int] | None = None
    names: dict[tuple[str, str], str] = {}
    for entity in sorted(entities or (), key=lambda entity: (entity["turn"], -entity["start"])):
        text = turns[entity["turn"]]["text"] if entity["turn"] < len(turns) else None
        start, end = entity["start"], entity["end"]
        value = (text or "")[start:end]
        if len(value) != end - start or not value.strip() or PLACEHOLDER.fullmatch(value):
            continue
        last = _last(turns) if last is None else last
        if (entity["type"], value) not in names:
            last[entity["type"]] += 1
            names[entity["type"], value] = f"<{entity['type']}_{last[entity['type']]}>"
        place = covered[entity["turn"]]
        place["text"] = place["text"][:start] + names[entity["type"], value] + place["text"][end:]
    return covered, {name: value for (_, value), name in names.items()}


def show(turns: Turns, values: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Restore what `hide` replaced; returns the turns and their entities."""
    entities = find(turns)
    if not values:
        return [dict(turn) for turn in turns], entities
    shown = [dict(turn) for turn in turns]
    shifts: dict[int, int] = defaultdict(int)
    for entity in entities:
        place, shift = shown[entity["turn"]], shifts[entity["turn"]]
        start, end = entity["start"] + shift, entity["end"] + shift
        value = values.get(place["text"][start:end], place["text"][start:end])
        place["text"] = place["text"][:start] + value + place["text"][end:]
        entity["start"], entity["end"] = start, start + len(value)
        shifts[entity["turn"]] += len(value) - (end - start)
    return shown, entities


def _last(turns: Turns) -> dict[str, int]:
    """Return the largest counted number of each type."""
    last: dict[str, int] = defaultdict(int)
    for turn in turns:
        for match in PLACEHOLDER.finditer(turn["text"] or ""):
            number = match[0].rpartition("_")[2][:-1]
            if len(number) < LARGE:
                last[entity_type(match[0])] = max(last[entity_type(match[0])], int(number))
    return last

"""Placeholders such as `<PERSON_1>`: what a personal value becomes, and what no later stage may break (P8)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*_[0-9]+>")


def find(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every placeholder of a conversation, as the schema's `entities`.

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
    """The entity type that a placeholder stands for: `PERSON` of `<PERSON_1>`."""
    return placeholder[1:].rpartition("_")[0]


def generalise(text: str) -> str:
    """The text with the numbers taken off its placeholders: `<PERSON_2>` reads `<PERSON>`, as in any conversation."""
    return PLACEHOLDER.sub(lambda match: f"<{entity_type(match[0])}>", text)

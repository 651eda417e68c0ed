"""Placeholders covered while a text is searched, so that nothing is found inside of them or across them."""

from deskloop.contract.placeholders import PLACEHOLDER

SHIELD = "\ue000"  # stands for a placeholder's characters: neither letter, digit nor space to any pattern


def shield(text: str) -> str:
    """The text with its placeholders covered; offsets stay."""
    return PLACEHOLDER.sub(lambda match: SHIELD * len(match[0]), text) if "<" in text else text

"""Cover placeholders while a text is searched, so that no finding overlaps one."""

from deskloop.contract.placeholders import PLACEHOLDER

SHIELD = "\ue000"  # covers each character of a placeholder; patterns see neither a letter, a digit nor a space


def shield(text: str) -> str:
    """Return the text with its placeholders covered; offsets stay."""
    return PLACEHOLDER.sub(lambda match: SHIELD * len(match[0]), text) if "<" in text else text

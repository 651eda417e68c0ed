"""Text from data for a terminal, without anything that moves the cursor, recolours, reorders or hides.

File names, ids, keys and roles come from outside. An escape sequence in one of them could clear the screen or forge a
line; a bidirectional override shows `exe.jsonl` as `lnosj.exe`.
"""

import re
from typing import Any

# Everything that is not printed as itself. Joiners (U+200C, U+200D) are part of words and emoji, so they stay.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Escape every control character as in JSON, line feeds included; JSON stays equivalent."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Escape control characters except line feeds."""
    return "\n".join(map(visible, text.split("\n")))


def echo(message: Any = "", err: bool = False, nl: bool = True) -> None:
    """`click.echo` for text that may come from data."""
    import click

    click.echo(visible_lines(str(message)), err=err, nl=nl)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))

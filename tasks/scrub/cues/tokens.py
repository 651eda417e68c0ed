"""Tokens of a text with their offsets, on which the rules of this package work."""

import re
from functools import cached_property

from tasks.scrub.shield import SHIELD

_LETTER = r"[^\W\d_]|\u2206"  # Greek texts often use the increment sign as a capital delta
_TOKEN = re.compile(rf"(?:{_LETTER})++(?:['\u2019](?:{_LETTER})++)*+|\d++|\n|{SHIELD}++|[^\w\s]|_")


class Tokens:
    """The words, numbers, marks and line breaks of a text, computed on first use.

    Attributes:
        text: the text, with its placeholders covered.
        chat: whether the text is all lower or all upper case, so that capital letters carry no information.
    """

    def __init__(self, shielded: str) -> None:
        self.text = shielded
        self.chat = shielded == shielded.lower() or shielded == shielded.upper()

    @cached_property
    def _matches(self) -> list[re.Match[str]]:
        return list(_TOKEN.finditer(self.text))

    @cached_property
    def low(self) -> list[str]:
        """The tokens, in lower case."""
        return [match[0].lower() for match in self._matches]

    @cached_property
    def starts(self) -> list[int]:
        """The start offset of each token."""
        return [match.start() for match in self._matches]

    @cached_property
    def ends(self) -> list[int]:
        """The end offset of each token."""
        return [match.end() for match in self._matches]

    def glued(self, index: int) -> bool:
        """Check whether a token directly follows the one before it."""
        return index > 0 and self.starts[index] == self.ends[index - 1]

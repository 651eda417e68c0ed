"""Words, numbers and marks of a text with their places: what the rules of this folder read in place of characters."""

import re
from functools import cached_property

from tasks.scrub.shield import SHIELD

_LETTER = r"[^\W\d_]|\u2206"  # the increment sign stands for a capital delta in much Greek text
_TOKEN = re.compile(rf"(?:{_LETTER})++(?:['\u2019](?:{_LETTER})++)*+|\d++|\n|{SHIELD}++|[^\w\s]|_")


class Tokens:
    """A text cut up; white space other than a line break is no token. The cutting waits until a rule asks for it.

    Attributes:
        text: the text, its placeholders covered.
        chat: whether the text has no capital letter or nothing else, so that capitals tell nothing.
    """

    def __init__(self, shielded: str) -> None:
        self.text = shielded
        self.chat = shielded == shielded.lower() or shielded == shielded.upper()

    @cached_property
    def _matches(self) -> list[re.Match[str]]:
        return list(_TOKEN.finditer(self.text))

    @cached_property
    def low(self) -> list[str]:
        """The tokens in lower case."""
        return [match[0].lower() for match in self._matches]

    @cached_property
    def starts(self) -> list[int]:
        """Their first characters."""
        return [match.start() for match in self._matches]

    @cached_property
    def ends(self) -> list[int]:
        """The characters after their last ones."""
        return [match.end() for match in self._matches]

    def glued(self, index: int) -> bool:
        """Whether nothing stands between this token and the one before it."""
        return index > 0 and self.starts[index] == self.ends[index - 1]

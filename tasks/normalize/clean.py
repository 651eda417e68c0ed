"""Clean one message: white space, and the signatures, quotes and boilerplate around the writer's own text."""

import re
from collections.abc import Collection

from deskloop.contract.placeholders import generalise

LONGEST_SIGNATURE = 8  # lines below a "-- " delimiter; longer ones count as text

NEWLINE = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
BLANKS = re.compile(r"[^\S\n]+")
BLANKS_AT_NEWLINE = re.compile(r" ?\n ?")
EMPTY_LINES = re.compile(r"\n{3,}")
NAME = r"(?:<PERSON_[0-9]+>|[A-Z][\w.'-]*),?"
NAMES = re.compile(rf"{NAME}(?: (?:& )?{NAME}){{0,4}}")
REGARDS = re.compile(
    r"(?:(?:\w+ ){0,2}(?:regards|wishes)|(?:yours )?(?:sincerely|faithfully|truly)|cheers)[,.!]*"
    rf"(?: (?-i:{NAMES.pattern}))?",
    re.IGNORECASE,
)
NEEDS_NAME = re.compile(r"(?:(?:many |kind )?(?:thanks|thank you)(?: in advance)?|(?:all the )?best),", re.IGNORECASE)
DEVICE = re.compile(
    r"sent from my .{1,40}|sent from (?:mail|outlook|yahoo|gmail|proton)\b.{0,40}|get outlook for .{1,20}",
    re.IGNORECASE,
)
QUOTE_HEAD = re.compile(r"on .{4,200} wrote:", re.IGNORECASE)
FORWARD = re.compile(r"-{2,} ?(?:original message|forwarded message) ?-{2,}", re.IGNORECASE)


def clean(text: str | None, boilerplate: Collection[str], signatures: bool = True) -> str:
    """Remove superfluous white space, boilerplate and trailing matter from one message; idempotent."""
    current = tidy(text)
    while "\n" in current:
        shorter = tidy("\n".join(_core(current.split("\n"), boilerplate, signatures)))
        if shorter == current:
            break
        current = shorter
    return current


def tidy(text: str | None) -> str:
    """Normalize white space: line ends, runs of spaces, spaces around line ends, runs of empty lines."""
    unix = NEWLINE.sub("\n", text or "")
    return EMPTY_LINES.sub("\n\n", BLANKS_AT_NEWLINE.sub("\n", BLANKS.sub(" ", unix))).strip()


def _core(lines: list[str], boilerplate: Collection[str], signatures: bool) -> list[str]:
    """Return the writer's own lines; a message of nothing but boilerplate keeps it."""
    skip = [not line or generalise(line) in boilerplate for line in lines]
    end = _end(lines, skip, signatures)
    start = next((number for number in range(end) if not skip[number]), None)
    if start is not None:
        return lines[start:end]
    return lines[: _end(lines, [not line for line in lines], signatures)]


def _end(lines: list[str], skip: list[bool], signatures: bool) -> int:
    """Return where a message ends before trailing signatures, quotes and lines to skip; at least 1."""
    forwarded = (number for number, line in enumerate(lines) if number and FORWARD.fullmatch(line))
    end = next(forwarded, len(lines)) if signatures else len(lines)
    while True:
        while end > 1 and skip[end - 1]:
            end -= 1
        shorter = _peel(lines, end) if signatures else end
        if shorter in (0, end):
            return end
        end = shorter


def _peel(lines: list[str], end: int) -> int:
    """Return where `lines[:end]` ends without its last piece of trailing matter; `end` if there is none."""
    last = lines[end - 1]
    if last.startswith(">") or DEVICE.fullmatch(last) or QUOTE_HEAD.fullmatch(last):
        return end - 1
    if end > 1 and last.endswith("wrote:") and QUOTE_HEAD.fullmatch(f"{lines[end - 2]} {last}"):
        return end - 2  # mail programs wrap "On <date>, <name> wrote:" over two lines
    for number in range(max(0, end - 1 - LONGEST_SIGNATURE), end):
        if lines[number] == "--":
            return number
    for number in range(end - 1, max(-1, end - 6), -1):  # a closing followed by at most four lines of names
        if REGARDS.fullmatch(lines[number]) or (number < end - 1 and NEEDS_NAME.fullmatch(lines[number])):
            return number
        if lines[number] and not NAMES.fullmatch(lines[number]):
            break
    return end

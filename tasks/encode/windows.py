"""Cut a conversation into windows for the model, so that each token is new in exactly one window (P9)."""

from collections.abc import Sequence
from dataclasses import dataclass

from deskloop.contract.errors import DataError

IGNORED = -100  # label of a token without a loss: the default `ignore_index` of PyTorch


@dataclass(frozen=True)
class Window:
    """Token positions of one window: the header, then `context` to `end`; only `new` to `end` can be supervised."""

    context: int
    new: int
    end: int


def cover(turns: Sequence[int], max_length: int) -> list[Window]:
    """Cover a conversation with windows.

    The first window takes as many turns as fit. A later one takes new turns up to half its length, fills the rest with
    earlier turns as context, and starts at a turn if possible. A turn longer than half a window is cut between tokens.

    Args:
        turns: for each token, the index of its turn; -1 for the header, which every window repeats.
        max_length: of a window, in tokens.
    Returns:
        Windows in order; the ranges `new` to `end` partition the tokens (the first one includes the header).
    Raises:
        DataError: the header leaves too little room.
    """
    if len(turns) <= max_length:
        return [Window(0, 0, len(turns))]
    header = next((place for place, turn in enumerate(turns) if turn >= 0), len(turns))
    room = max_length - header
    if room < 8:
        raise DataError(f"the chat template's header of {header} tokens leaves no room in max_length {max_length}")
    units = _units(turns, header, room // 2)
    result: list[Window] = []
    last = 0
    while last < len(units):
        new = last
        last = _extend(units, new, room if new == 0 else room // 2)
        first = new
        while first > 0 and units[last - 1][1] - units[first - 1][0] <= room:
            first -= 1
        first = next((unit for unit in range(first, new) if _starts_turn(turns, units[unit][0])), first)
        last = _extend(units, first, room)  # starting at a turn may leave room for more units
        end = units[last - 1][1]
        result.append(Window(units[first][0], units[new][0], end) if result else Window(0, 0, end))
    return result


def _units(turns: Sequence[int], header: int, longest: int) -> list[tuple[int, int]]:
    """Return the ranges of tokens that are not separated: turns, and pieces of turns over `longest` tokens."""
    starts = [place for place in range(header, len(turns)) if _starts_turn(turns, place)]
    ends = [*starts[1:], len(turns)]
    return [
        (piece, min(piece + longest, end))
        for start, end in zip(starts, ends, strict=True)
        for piece in range(start, end, longest)
    ]


def _starts_turn(turns: Sequence[int], place: int) -> bool:
    return place == 0 or turns[place] != turns[place - 1]


def _extend(units: Sequence[tuple[int, int]], first: int, room: int) -> int:
    last = first + 1
    while last < len(units) and units[last][1] - units[first][0] <= room:
        last += 1
    return last

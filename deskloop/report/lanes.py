"""A graph drawn beside a list: each row has a dot, and lines lead to it from the rows above.

The drawing of a row is as high as its row, whatever the text in it needs, so lines meet at the rows' edges.
"""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

LANE = 16  # pixels from one line to the next


class Node(NamedTuple):
    """A row: its name, the style class of its dot, and the names of the rows that it was made from."""

    name: str
    kind: str
    parents: Sequence[str]


class _Place(NamedTuple):
    """A row's dot and lines, all as lane numbers: where lines come down to the dot, and which pass it by."""

    dot: int
    joining: list[int]
    passing: list[int]
    leaving: bool


def lanes(nodes: Sequence[Node]) -> tuple[list[Markup], int]:
    """Return a drawing for each row, and the width in pixels that all of them have.

    Args:
        nodes: parents before children; a parent that is no earlier row gets no line.
    """
    places = _places(nodes)
    used = [lane for place in places for lane in (place.dot, *place.joining, *place.passing)]
    width = LANE * (max(used, default=0) + 1)
    return [_drawn(node, place, width) for node, place in zip(nodes, places, strict=True)], width


def _places(nodes: Sequence[Node]) -> list[_Place]:
    """Give each row a lane: that of a parent whose last child it is, else the first free one."""
    rows = {node.name: index for index, node in enumerate(nodes)}
    parents = [[name for name in dict.fromkeys(node.parents) if rows.get(name, row) < row]
               for row, node in enumerate(nodes)]  # fmt: skip
    last = {name: row for row, names in enumerate(parents) for name in names}
    open_lanes: list[str | None] = []
    places = []
    for row, node in enumerate(nodes):
        joining = [lane for lane, name in enumerate(open_lanes) if name in parents[row]]
        ended = [lane for lane in joining if last[open_lanes[lane] or ""] == row]
        passing = [lane for lane, name in enumerate(open_lanes) if name is not None and lane not in ended]
        for lane in ended:
            open_lanes[lane] = None
        dot = (
            ended[0] if ended else next((lane for lane, name in enumerate(open_lanes) if name is None), len(open_lanes))
        )
        open_lanes += [None] * (dot + 1 - len(open_lanes))
        open_lanes[dot] = node.name if node.name in last else None
        places.append(_Place(dot, joining, passing, node.name in last))
    return places


def _drawn(node: Node, place: _Place, width: int) -> Markup:
    """Return one row's part of the graph."""
    x = LANE * place.dot + LANE // 2
    lines = [(LANE * lane + LANE // 2, LANE * lane + LANE // 2, 0, 100) for lane in place.passing]
    lines += [(LANE * lane + LANE // 2, x, 0, 50) for lane in place.joining]
    lines += [(x, x, 50, 100)] if place.leaving else []
    drawn = "".join(f'<line x1="{a}" x2="{b}" y1="{top}%" y2="{end}%"/>' for a, b, top, end in lines)
    label = f"{node.name}, made from {', '.join(node.parents) or 'nothing before it'}"
    return Markup(
        f'<svg class="lanes" width="{width}" role="img" aria-label="{escape(label)}">{drawn}'
        f'<circle class="{escape(node.kind)}" cx="{x}" cy="50%" r="5.5"/></svg>'
    )

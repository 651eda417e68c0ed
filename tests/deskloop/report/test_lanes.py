"""Lineage drawn beside a list: every line meets its neighbours at the rows' edges, every parent leads to its child."""

import re

from hypothesis import given
from hypothesis import strategies as st

from deskloop.report.lanes import LANE, Node, lanes


@st.composite
def histories(draw: st.DrawFn) -> list[Node]:
    count = draw(st.integers(1, 9))
    earlier = [draw(st.sets(st.integers(0, row - 1), max_size=4)) if row else set() for row in range(count)]
    return [Node(f"v{row}", "dataset", [f"v{parent}" for parent in sorted(of)]) for row, of in enumerate(earlier)]


def lines(drawing: str) -> list[tuple[int, int, int, int]]:
    """(x at its top, x at its end, top, end) of each line, in lanes and percent of the row."""
    found = re.findall(r'x1="(\d+)" x2="(\d+)" y1="(\d+)%" y2="(\d+)%"', drawing)
    return [(int(a) // LANE, int(b) // LANE, int(top), int(end)) for a, b, top, end in found]


@given(histories())
def test_lines_meet_at_the_edges_of_rows_and_lead_from_parent_to_child(nodes: list[Node]) -> None:
    drawings, width = lanes(nodes)
    dots = [int(re.findall(r'cx="(\d+)"', drawing)[0]) // LANE for drawing in drawings]
    assert all(LANE * dot < width for dot in dots)
    carried: dict[int, str] = {}  # lane -> the version whose line runs down it across the edge above the row
    for row, (node, drawing) in enumerate(zip(nodes, drawings, strict=True)):
        found = lines(drawing)
        assert {a for a, _, top, _ in found if top == 0} == set(carried)
        joined = {carried[a] for a, b, top, end in found if (top, end) == (0, 50) and b == dots[row]}
        assert joined == set(node.parents)
        below = {b: carried[a] for a, b, top, end in found if (top, end) == (0, 100)}
        assert dots[row] not in below
        if any(top == 50 for _, _, top, _ in found):
            below[dots[row]] = node.name
        later = {parent for other in nodes[row + 1 :] for parent in other.parents}
        assert set(below.values()) == later & {one.name for one in nodes[: row + 1]}
        carried = below


def test_a_chain_stays_in_one_lane_and_a_stranger_gets_no_line() -> None:
    drawings, width = lanes([Node("a", "dataset", []), Node("b", "model", ["a", "elsewhere"])])
    assert width == LANE
    assert lines(drawings[1]) == [(0, 0, 0, 50)]
    assert '<circle class="model"' in drawings[1]
    assert 'aria-label="b, made from a, elsewhere"' in drawings[1]


def test_names_are_escaped() -> None:
    (drawing,), _ = lanes([Node('"><script>', "dataset", [])])
    assert "<script>" not in drawing

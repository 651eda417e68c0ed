"""The graph of the steps: every step has a box, boxes do not overlap, and lines lead downwards from box to box."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deskloop.report.dag import BOX, dag

Graph = list[dict[str, object]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Two sources, and steps that each read some of those before."""
    steps: Graph = [{"step": "s0", "inputs": []}, {"step": "s1", "inputs": []}]
    for at in range(2, draw(st.integers(2, 9))):
        read = draw(st.sets(st.integers(0, at - 1), min_size=1, max_size=3))
        inputs = [{"port": "rows", "step": f"s{one}", "dataset": f"d{one}"} for one in sorted(read)]
        steps.append({"step": f"s{at}", "inputs": inputs})
    return steps


@given(graphs())
def test_boxes_are_apart_and_lines_lead_down_to_the_steps_that_read(steps: Graph) -> None:
    found = dag({"graph": steps})
    assert found is not None
    drawing = str(found["drawing"])
    boxes = [(int(x), int(y)) for x, y in re.findall(r'class="box" x="(-?\d+)" y="(-?\d+)"', drawing)]
    assert len(boxes) == len(steps)
    for one, other in ((a, b) for a in boxes for b in boxes if a < b):
        assert one[1] != other[1] or abs(one[0] - other[0]) >= BOX[0]
    width, height = (int(size) for size in re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawing)[0])
    assert all(0 <= x <= width - BOX[0] and 0 <= y <= height - BOX[1] for x, y in boxes)
    place = {str(step["step"]): box for step, box in zip(steps, boxes, strict=True)}
    lines = re.findall(r'<path d="(.*?)"><title>(\w+) to (\w+)</title>', drawing)
    wanted = {(one["step"], step["step"]) for step in steps for one in step["inputs"]}  # type: ignore[attr-defined]
    assert {(parent, child) for _, parent, child in lines} == wanted
    for path, parent, child in lines:
        points = [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]
        assert all(upper[1] <= lower[1] for upper, lower in pairwise(points))
        assert abs(points[0][0] - place[parent][0] - BOX[0] / 2) <= 1
        assert points[0][1] == place[parent][1] + BOX[1]
        assert abs(points[-1][0] - place[child][0] - BOX[0] / 2) <= 1
        assert points[-1][1] == place[child][1]


def test_one_step_after_the_other_is_no_graph() -> None:
    chain = [{"step": f"s{at}", "inputs": [{"step": f"s{at - 1}"}] if at else []} for at in range(4)]
    assert dag({"graph": chain}) is None
    assert dag({}) is None

"""The graph of a pipeline's steps as inline SVG: rows from top to bottom, a line from each step to those that read it.

Steps are drawn below all that they read; a line that passes a row gets a place of its own in it, so that it crosses no
box. Each row is ordered by the mean place of its neighbours (Sugiyama, Tagawa and Toda, 1981).
"""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from statistics import mean
from typing import Any

from markupsafe import Markup, escape

Run = dict[str, Any]
Point = tuple[int, str]  # row, and the name of a step or of a line that passes it
BOX, GAP, ROW = (172, 46), 20, 84  # pixels
LINE = 14  # pixels that a passing line takes
SWEEPS = 8
SHOWN = 26  # characters of the datasets' names that a box has room for


def dag(run: Run) -> dict[str, Any] | None:
    """Return the drawing of the pipeline and the inputs of each step; None if no two steps are side by side."""
    steps = [step for step in run.get("graph") or [] if "step" in step]
    parents: dict[str, list[str]] = {}
    for step in steps:
        read = [source.get("step") for source in step.get("inputs") or []]
        parents[step["step"]] = [name for name in dict.fromkeys(read) if name in parents]
    paths, layers = _routed(parents)
    if not any(sum(name in parents for _, name in layer) > 1 for layer in layers):
        return None
    rows = [
        {
            "step": step["step"],
            "stage": step.get("stage") or step["step"],
            "inputs": [(port.get("port", ""), port.get("dataset", "")) for port in step.get("inputs") or []],
            "datasets": step.get("datasets") or [],
        }
        for step in steps
    ]
    kinds = list(dict.fromkeys(step.get("kind") or "dataset" for step in steps))
    return {"drawing": _drawing(steps, paths, layers), "steps": rows, "kinds": kinds}


def _drawing(steps: Sequence[Mapping[str, Any]], paths: Sequence[Sequence[Point]], rows: list[list[Point]]) -> Markup:
    """Return the whole picture, wide and high enough for all boxes."""
    x = _placed(rows, paths)
    left = min(x[point] - _half(point) for row in rows for point in row)
    right = max(x[point] + _half(point) for row in rows for point in row)
    places = {point: (x[point] - left + 1, ROW * point[0] + 1) for row in rows for point in row}
    lines = [_line([places[point] for point in path], path[0][1], path[-1][1]) for path in paths]
    depth = {name: row for points in rows for row, name in points}
    boxes = [_box(step, places[depth[step["step"]], step["step"]]) for step in steps]
    width, height = round(right - left + 2), ROW * (len(rows) - 1) + BOX[1] + 2
    label = "; ".join(dict.fromkeys(f"{path[0][1]} to {path[-1][1]}" for path in paths))
    return Markup(
        f'<svg class="dag" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(lines)}{"".join(boxes)}</svg>'
    )


def _routed(parents: Mapping[str, Sequence[str]]) -> tuple[list[list[Point]], list[list[Point]]]:
    """Return the points of every line from parent to child, and those of every row."""
    depth: dict[str, int] = {}
    for name, read in parents.items():
        depth[name] = max((depth[parent] + 1 for parent in read), default=0)
    paths = []
    for name, read in parents.items():
        for parent in read:
            passed: list[Point] = [(row, f"{parent}\n{name}") for row in range(depth[parent] + 1, depth[name])]
            paths.append([(depth[parent], parent), *passed, (depth[name], name)])
    rows: list[list[Point]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for point in dict.fromkeys([*((row, name) for name, row in depth.items()), *chain.from_iterable(paths)]):
        rows[point[0]].append(point)
    return paths, rows


def _placed(rows: list[list[Point]], paths: Sequence[Sequence[Point]]) -> dict[Point, float]:
    """Return the middle of every point, in pixels; also orders the rows."""
    above: dict[Point, list[Point]] = {}
    below: dict[Point, list[Point]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    x = {point: float(at) for row in rows for at, point in enumerate(row)}
    for sweep in range(SWEEPS):
        neighbours = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            wanted = {point: mean(x[neighbour] for neighbour in neighbours.get(point, [point])) for point in row}
            row.sort(key=wanted.__getitem__)
            x |= _spread(row, wanted)
    return x


def _spread(row: Sequence[Point], wanted: Mapping[Point, float]) -> dict[Point, float]:
    """Return places as near to the wanted ones as the widths of a row allow, in its order."""
    places: dict[Point, float] = {}
    free = float("-inf")
    for point in row:
        half = _half(point)
        places[point] = max(wanted[point], free + half)
        free = places[point] + half + GAP
    shift = mean([wanted[point] - places[point] for point in row])
    return {point: place + shift for point, place in places.items()}


def _half(point: Point) -> float:
    return (LINE if "\n" in point[1] else BOX[0]) / 2


def _line(places: Sequence[tuple[float, float]], parent: str, child: str) -> str:
    """Return a line from the foot of a box to the head of another."""
    path = f"M{places[0][0]:.0f},{places[0][1] + BOX[1]:.0f}"
    for at, (x, y) in enumerate(places[1:], 1):
        last, start = places[at - 1][0], places[at - 1][1] + BOX[1]
        middle = (start + y) / 2
        path += f"C{last:.0f},{middle:.0f} {x:.0f},{middle:.0f} {x:.0f},{y:.0f}"
        path += f"V{y + BOX[1]:.0f}" if at < len(places) - 1 else ""
    return f'<path d="{path}"><title>{escape(parent)} to {escape(child)}</title></path>'


def _box(step: Mapping[str, Any], place: tuple[float, float]) -> str:
    """Return the box of a step, with the names of its datasets."""
    x, y = place[0] - BOX[0] / 2, place[1]
    datasets = [name for name in step.get("datasets") or [] if name != step["step"]]
    names = ", ".join(datasets)
    names = names if len(names) <= SHOWN else f"{len(datasets)} datasets" if len(datasets) > 1 else f"{names[:SHOWN]}…"
    kind = escape(step.get("kind") or "dataset")
    return (
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="7"/>'
        f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="5" height="{BOX[1]}" rx="2"/>'
        f'<text x="{x + 16:.0f}" y="{y + (20 if names else 28):.0f}">{escape(step["step"])}</text>'
        f'<text class="small" x="{x + 16:.0f}" y="{y + 36:.0f}">{escape(names)}</text>'
    )

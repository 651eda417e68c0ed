"""A curve as inline SVG: lines over a common axis, such as the losses of a training.

A curve has a fixed drawing size, because its labels are inside; the page holds a wide and a narrow one and shows what
fits. Colours come from the page's style sheet.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from deskloop.report.words import number

MOST_POINTS = 240  # of one line; more cannot be told apart at the page's width


class Series(NamedTuple):
    """A line of a chart: its style class, its name and its (x, y) points in order."""

    kind: str
    name: str
    points: Sequence[tuple[float, float]]


class Frame(NamedTuple):
    """The drawing area and the values at its edges, in pixels and in the data's units."""

    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the data as a point of the drawing."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def curve(series: Sequence[Series], size: tuple[int, int], name: str, title: str, axes: tuple[str, str]) -> Markup:
    """Lines over a common x axis, with axes, grid, and each line's last value beside its end.

    Args:
        series: at least one of them with a finite point.
        size: width and height of the drawing in pixels.
        name: its style class, a hyphen, and whatever makes it unique in the page.
        title: what the chart shows; a description with first and last values is added to it.
        axes: what x and y are, with their units.
    """
    lines = [Series(line.kind, line.name, points) for line in series if (points := thinned(line.points))]
    every = [point for line in lines for point in line.points]
    width, height = size
    first, last = min(x for x, _ in every), max(x for x, _ in every)
    across = [value for value in ticks(first, last, width // 80) if first <= value <= last]
    up = ticks(min(y for _, y in every), max(y for _, y in every))
    frame = Frame(46, 30, width - 54, height - 44, (first, last), (up[0], up[-1]))
    description = "; ".join(
        f"{line.name} from {number(float(line.points[0][1]))} at {number(round(line.points[0][0]))} "
        f"to {number(float(line.points[-1][1]))} at {number(round(line.points[-1][0]))}"
        for line in lines
    )
    return Markup(
        f'<svg class="curve {name.partition("-")[0]}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
        f"{_axes(frame, across, up, axes)}{''.join(_line(line, frame) for line in lines)}{_ends(lines, frame)}</svg>"
    )


def _axes(frame: Frame, across: Sequence[float], up: Sequence[float], names: tuple[str, str]) -> str:
    """Grid lines with their values, and the names of both axes."""
    parts = []
    for value in up:
        _, y = frame.place(frame.x[0], value)
        parts.append(f'<line class="grid" x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{frame.left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in across:
        x, _ = frame.place(value, up[0])
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.bottom}" y2="{frame.bottom + 5}"/>')
        parts.append(f'<text x="{x:.1f}" y="{frame.bottom + 18}" text-anchor="middle">{value:,g}</text>')
    parts.append(
        f'<line class="axis" x1="{frame.left}" x2="{frame.right}" y1="{frame.bottom}" y2="{frame.bottom}"/>'
        f'<text x="{(frame.left + frame.right) / 2}" y="{frame.bottom + 36}" text-anchor="middle">'
        f"{escape(names[0])}</text>"
        f'<text x="0" y="14">{escape(names[1])}</text>'
    )
    return "".join(parts)


def _line(line: Series, frame: Frame) -> str:
    """Return one line; a short one has marks at its points, so that two lines differ by more than colour."""
    places = [frame.place(x, y) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places) if len(places) <= 40 else ""
    return f'<g class="line {line.kind}"><polyline points="{path}"/>{marks}</g>'


def _ends(lines: Sequence[Series], frame: Frame) -> str:
    """Return the last value of every line to the right of its end, moved apart where two would touch."""
    ends = sorted((frame.place(*line.points[-1])[1], line) for line in lines)
    parts, free = [], -math.inf
    for y, line in ends:
        at = max(y + 4, free)
        free = at + 15
        x, _ = frame.place(*line.points[-1])
        parts.append(f'<text class="end {line.kind}" x="{x + 8:.1f}" y="{at:.1f}">{line.points[-1][1]:.2f}</text>')
    return "".join(parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values that cover [low, high], steps of 1, 2 or 5 times a power of ten (Heckbert, Graphics Gems, 1990)."""
    span = (high - low) or abs(high) or 1.0
    rough = span / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the finite points; of very many, means of equal runs, so that no single step stands for its neighbours."""
    finite = [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
    run = math.ceil(len(finite) / MOST_POINTS)
    if run <= 1:
        return finite
    groups = [finite[start : start + run] for start in range(0, len(finite), run)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]

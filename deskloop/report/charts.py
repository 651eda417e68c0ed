"""Bars as inline SVG: no script, no font, no image; colours come from the page's style sheet.

Everything is laid out in percent, so that it stretches with the page while the text beside it stays at reading size.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

SLIVER = 0.6  # percent of the width: a count of one among thousands still shows
CAP = (30, 70)  # percent of the height: the ends of an error bar


class Segment(NamedTuple):
    """A part of a bar: the style class that colours it, its length in the bar's unit, and what it stands for."""

    kind: str
    length: float
    label: str


def bar(segments: Sequence[Segment], scale: float, title: str, interval: tuple[float, float] | None = None) -> Markup:
    """Return a horizontal bar, stacked where there are several segments, with an error bar if there is an interval.

    Args:
        segments: parts from left to right; those of length 0 are left out.
        scale: the length that fills the whole width.
        title: read out by screen readers.
        interval: low and high end of the error bar, in the bar's unit.
    """
    drawn, start = [], 0.0
    for segment in segments:
        if segment.length <= 0 or scale <= 0:
            continue
        width = max(100 * segment.length / scale, SLIVER)
        start = min(start, 100 - width)
        drawn.append(
            f'<rect class="{segment.kind}" x="{start:.2f}%" width="{width:.2f}%" height="100%">'
            f"<title>{escape(segment.label)}</title></rect>"
        )
        start += width
    return Markup(
        f'<svg class="bar" role="img" aria-label="{escape(title)}">'
        f'<rect class="track" width="100%" height="100%"/>{"".join(drawn)}{_whisker(interval, 0.0, scale)}</svg>'
    )


def difference(value: float, interval: tuple[float, float] | None, title: str) -> Markup:
    """A difference with its error bar beside a line at zero, on a scale of its own; the left half is the better one.

    Args:
        value: candidate less other, lower being better.
        interval: low and high end of the error bar.
        title: read out by screen readers.
    """
    ends = interval or (value, value)
    reach = 1.15 * max(abs(value), *map(abs, ends)) or 1.0
    at = _percent(value, -reach, reach)
    return Markup(
        f'<svg class="difference" role="img" aria-label="{escape(title)}">'
        '<rect class="track" width="100%" height="100%"/><rect class="better" width="50%" height="100%"/>'
        '<line class="zero" x1="50%" x2="50%" y1="0" y2="100%"/>'
        f'{_whisker(interval, -reach, reach)}<circle class="candidate" cx="{at:.2f}%" cy="50%" r="5"/></svg>'
    )


def _whisker(interval: tuple[float, float] | None, low: float, high: float) -> str:
    """An error bar with its caps, on a scale from `low` to `high`; a light one beneath sets it off from a bar."""
    if interval is None or high <= low:
        return ""
    left, right = (_percent(end, low, high) for end in interval)
    top, bottom = CAP
    lines = f'<line x1="{left:.2f}%" x2="{right:.2f}%" y1="50%" y2="50%"/>'
    lines += "".join(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{top}%" y2="{bottom}%"/>' for x in (left, right))
    return f'<g class="halo">{lines}</g><g class="whisker">{lines}</g>'


def _percent(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, 0 to 100."""
    return min(max(100 * (value - low) / (high - low), 0.0), 100.0)


def logarithmic(count: float) -> float:
    """Length of a bar on the logarithmic scale: log10(1 + n), so that 0 has no length and 1 is still seen."""
    return math.log10(1 + max(count, 0))

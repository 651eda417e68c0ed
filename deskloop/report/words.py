"""Numbers, names and sentences of the report, in readable form."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup, escape

MISSING = "–"
ACRONYMS = {"CSV", "HTML", "ID", "IP", "IBAN", "ITIN", "JSON", "MAC", "NHS", "PIN", "SSN", "URL", "VIN"}
COUNTRIES = {"UK", "US"}  # in capitals only: "us" is a word
# Control characters, which a page cannot show, become replacement characters.
CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "\ufffd")


def number(value: object) -> str:
    """An integer with separators or a decimal with about three significant digits; a dash where there is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return MISSING
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    if isinstance(value, int) or (value == int(value) and size >= 100):
        return f"{int(value):,}"
    if size >= 100:
        return f"{value:,.0f}"
    if size == 0 or size >= 0.001:
        return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.3f}"
    return f"{value:.1e}"


def decimals(value: object, places: int) -> str:
    """Return a decimal with fixed places, so that a column lines up."""
    finite = isinstance(value, int | float) and math.isfinite(value)
    return f"{value:,.{places}f}" if finite else number(value) if isinstance(value, float) else MISSING


def percent(value: object, places: int = 1) -> str:
    """Return a share of 1 as percent; a share that is not whole is never rounded to 0 or 100."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    least = 10.0**-places
    if 0 < value * 100 < least / 2:
        return f"< {least:.{places}f}%"
    if 0 < (1 - value) * 100 < least / 2:
        return f"> {100 - least:.{places}f}%"
    return f"{value * 100:.{places}f}%"


def signed(value: object, places: int = 3) -> str:
    """Return a difference with its sign, the minus as wide as the plus; no sign at zero."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return number(value)
    text = f"{value:+,.{places}f}"
    return text[1:] if float(text.replace(",", "")) == 0 else text.replace("-", "\u2212")


def duration(seconds: object) -> str:
    """Seconds as `0.4 s`, `3 min 12 s` or `2 h 5 min`."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(text: object) -> str:
    """Return an ISO 8601 time in UTC, `21 Nov 2025, 09:05 UTC`; text that is no such time is returned as is."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    zone = " UTC" if when.tzinfo else ""
    when = when.astimezone(UTC) if when.tzinfo else when
    return f"{when.day} {when:%b %Y, %H:%M}{zone}"


def spoken(name: str) -> str:
    """Return a snake_case name as words: `too_short` as `too short`, `US_SSN` as `US SSN`."""
    words = str(name).replace("_", " ").split()
    return " ".join(word.upper() if word.upper() in ACRONYMS or word in COUNTRIES else word.lower() for word in words)


def title(name: str) -> str:
    """`spoken`, with a capital first letter."""
    words = spoken(name)
    return words[:1].upper() + words[1:]


def setting(value: object) -> str:
    """Return a value of a configuration, short: lists joined, `–` for none."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value)) or MISSING
    return str(value)


def observed(value: object) -> str:
    """Return what an expectation observed, numbers only, since text may be a customer's."""
    if isinstance(value, Mapping):
        shown = [f"{spoken(key)} {observed(cell)}" for key, cell in value.items() if observed(cell) != MISSING]
        return ", ".join(shown) or MISSING
    return number(value)


def marked(text: object) -> Markup:
    """Return a reply, escaped, with its placeholders (`<EMAIL_ADDRESS_1>`) set off from the words."""
    plain = str(escape(str(text).translate(CONTROLS)))
    return Markup(re.sub(r"&lt;([A-Z][A-Z_]*_\d+)&gt;", r'<span class="placeholder">&lt;\1&gt;</span>', plain))


def prose(text: object) -> Markup:
    """Return a sentence, escaped, with `code` in backticks set as code, a capital first letter and a full stop."""
    words = str(text).strip()
    words = words[:1].upper() + words[1:]
    ended = words if not words or words[-1] in ".!?" else f"{words}."
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(ended))))


def relative(link: object) -> str | None:
    """Return the link if it stays beside the report, else None: the page never points to another host."""
    text = str(link or "")
    return None if not text or re.match(r"[\w+.-]*:|[/\\]", text) else text

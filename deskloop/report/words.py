"""Numbers, names and sentences of the report, as a person reads them."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup, escape

MISSING = "–"
ACRONYMS = {"CSV", "HTML", "ID", "IP", "IBAN", "ITIN", "JSON", "MAC", "NHS", "SSN", "URL", "VIN"}
COUNTRIES = {"UK", "US"}  # in capitals only: "us" is a word
LANGUAGES = {
    "ca": "Catalan",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "und": "not identified",
}

STEPS = {
    "ingest": "Reads the logs; what cannot be read is set aside with its line number.",
    "scrub": "Finds personal data and puts placeholders such as <PERSON_1> in its place.",
    "normalize": "Tidies white space, signatures and boilerplate; takes out conversations too short or too long.",
    "dedupe": "Takes out copies and near-copies; groups what belongs together into families; fixes the split.",
    "split": "Separates training, validation and test conversations and proves that nothing crosses.",
    "encode": "Turns conversations into tokens and marks the ones that the model learns from: the agents' replies.",
    "finetune": "Trains the base model further on the training conversations.",
    "evaluate": "Measures base and candidate on test conversations that neither has seen.",
}

MODELS = {
    "candidate": ("Candidate", "the model that this run trained"),
    "champion": ("Champion", "the model in use"),
    "base": ("Base", "the same model before fine-tuning"),
    "bigram": ("Bigram", "reference: guesses from the previous token alone"),
    "unigram": ("Unigram", "reference: guesses from how frequent each token is"),
}

METRICS = {
    "bits_per_byte": (
        "Bits per byte",
        "How many bits of surprise each byte of the agents' test replies costs the model. Lower is better. "
        "Blind guessing of bytes costs 8. Models with different tokenizers can be compared by it.",
    ),
    "loss": (
        "Loss",
        "The average surprise per token, in nats (cross-entropy): what training minimises. Lower is better; "
        "only models with the same tokenizer compare.",
    ),
    "perplexity": (
        "Perplexity",
        "The loss as a number of choices: 10 means that the model is as unsure as if it had to pick among ten equally "
        "likely tokens. Lower is better.",
    ),
    "token_accuracy": (
        "Token accuracy",
        "How often the model's first choice for the next token is the one that the agent wrote. Higher is better.",
    ),
    "supervised_tokens": (
        "Tokens judged",
        "The tokens of the agents' test replies; what customers wrote and padding do not count.",
    ),
}


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
    """A decimal with fixed places, so that a column lines up."""
    finite = isinstance(value, int | float) and math.isfinite(value)
    return f"{value:,.{places}f}" if finite else number(value) if isinstance(value, float) else MISSING


def percent(value: object, places: int = 1) -> str:
    """A share of 1 as percent; a share that is not whole is never rounded to 0 or 100."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    least = 10.0**-places
    if 0 < value * 100 < least / 2:
        return f"< {least:.{places}f}%"
    if 0 < (1 - value) * 100 < least / 2:
        return f"> {100 - least:.{places}f}%"
    return f"{value * 100:.{places}f}%"


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
    """An ISO 8601 time in UTC, `21 Nov 2025, 09:05 UTC`; text that is no such time comes back as it is."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    zone = " UTC" if when.tzinfo else ""
    when = when.astimezone(UTC) if when.tzinfo else when
    return f"{when.day} {when:%b %Y, %H:%M}{zone}"


def spoken(name: str) -> str:
    """A snake_case name as words: `too_short` as `too short`, `US_SSN` as `US SSN`."""
    words = str(name).replace("_", " ").split()
    return " ".join(word.upper() if word.upper() in ACRONYMS or word in COUNTRIES else word.lower() for word in words)


def title(name: str) -> str:
    """`spoken`, with a capital first letter."""
    words = spoken(name)
    return words[:1].upper() + words[1:]


def setting(value: object) -> str:
    """A value of a configuration, short: lists joined, `–` for none."""
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
    """What an expectation saw, numbers only: text might be a customer's, so it is left out."""
    if isinstance(value, Mapping):
        shown = [f"{spoken(key)} {observed(cell)}" for key, cell in value.items() if observed(cell) != MISSING]
        return ", ".join(shown) or MISSING
    return number(value)


def marked(text: object) -> Markup:
    """A reply, escaped, with its placeholders (`<EMAIL_ADDRESS_1>`) set off from the words."""
    return Markup(
        re.sub(r"&lt;([A-Z][A-Z_]*_\d+)&gt;", r'<span class="placeholder">&lt;\1&gt;</span>', str(escape(text)))
    )


def relative(link: object) -> str | None:
    """The link if it stays beside the report, else None: the page never points to another host."""
    text = str(link or "")
    return None if not text or re.match(r"[\w+.-]*:|[/\\]", text) else text

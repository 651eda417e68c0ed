"""Generate names, addresses and words that are not personal for the frames of the tagger's corpus."""

import random
import string
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tasks.scrub.tagger.postal import Places, draw_address, draw_corner, draw_street
from tasks.scrub.tagger.wordlists import FRAMES, word_list

# Never used in training: the first group measures every version of the data, the second this model.
RESERVED = ("hr_HR", "ro_RO", "hu_HU", "fi_FI", "pt_PT", "en_NZ", "en_IE", "fil_PH", "th_TH", "th", "no_NO")
HELD_OUT = ("sl_SI", "es_CL", "en_NG", "de_AT")
ENGLISH = ("en_US", "en_GB", "en_CA", "en_AU", "en_IN")
TITLES = word_list("title")
PARTICLES = ["van", "van der", "van den", "de", "de la", "del", "di", "da", "dos", "von", "bin", "al", "el", "ben",
             "le", "St."]  # fmt: skip


class Pool(NamedTuple):
    """Names and places of a locale."""

    first_names: list[str]
    surnames: list[str]
    places: Places


@lru_cache(maxsize=1)
def written() -> tuple[list[str], list[str]]:
    """Return the first names and surnames of the repository's lists, capitalised."""
    return tuple(
        [word.capitalize() for word in (FRAMES / f"{name}.txt").read_text().split()]  # type: ignore[return-value]
        for name in ("given", "surnames")
    )


@lru_cache(maxsize=1)
def census() -> tuple[list[str], list[str]]:
    """Return the first names and surnames of the census lists in the `names` package, capitalised, by frequency."""
    import names

    lists = [
        [line.split()[0].capitalize() for line in Path(names.FILES[key]).read_text().splitlines()]
        for key in ("first:male", "first:female", "last")
    ]
    first_names = [name for pair in zip(lists[0], lists[1], strict=False) for name in pair] + lists[1][len(lists[0]) :]
    return list(dict.fromkeys(first_names)), lists[2]


def draw_name(pool: Pool, draw: random.Random, form: str) -> str:
    """Draw a name of a person, in the form `first`, `last`, `titled` or `name` (any form)."""
    first, last = _given(pool, draw), _last(pool, draw)
    if form == "first":
        return first
    if form == "last":
        return last
    if form == "titled":
        title = draw.choice(TITLES)
        return f"{title} {last}" if draw.random() < 0.6 else f"{title} {first} {last}"
    initial = draw.choice(string.ascii_uppercase)
    forms: list[tuple[float, Callable[[], str]]] = [
        (40, lambda: f"{first} {last}"), (24, lambda: first), (8, lambda: last),
        (4, lambda: f"{first} {initial}. {last}"), (3, lambda: f"{first} {initial}"), (3, lambda: f"{initial}. {last}"),
        (2, lambda: f"{initial} {last}"), (4, lambda: f"{first} {_given(pool, draw)} {last}"),
        (3, lambda: f"{first} {last} {_last(pool, draw)}"), (2, lambda: f"{first} {last}-{_last(pool, draw)}"),
        (2, lambda: f"{first}-{_given(pool, draw)} {last}"), (5, lambda: draw_name(pool, draw, "titled")),
        (1, lambda: f"{first} {initial}.{draw.choice(string.ascii_uppercase)}. {last}"), (2, lambda: f"{last} {first}"),
        (1, lambda: f"{first} {last} {draw.choice(word_list('suffix'))}"), (2, lambda: f"{first} {last[0]}."),
    ]  # fmt: skip
    return draw.choices([build for _, build in forms], [weight for weight, _ in forms])[0]()


def _given(pool: Pool, draw: random.Random) -> str:
    """Draw a first name; sometimes combine the start of one and the end of another into a name that no list has."""
    first = draw.choice(pool.first_names)
    if draw.random() > 0.12 or len(first) < 4:
        return first
    other = draw.choice(pool.first_names)
    return first[: draw.randint(2, 4)] + other[-draw.randint(2, 5) :].lower() if len(other) > 4 else first


def _last(pool: Pool, draw: random.Random) -> str:
    last = draw.choice(pool.surnames)
    chance = draw.random()
    if chance < 0.03:
        return f"{draw.choice(PARTICLES)} {last}"
    if chance < 0.05:
        return draw.choice(["O'", "Mc", "Mac", "D'", "Al-", "El-"]) + last
    return last


def slots(pool: Pool, harmless: dict[str, list[str]]) -> dict[str, Callable[[random.Random], tuple[str, str]]]:
    """Return slot -> function from a generator to (text, label); the label is "" for text that is not personal."""
    table: dict[str, Callable[[random.Random], tuple[str, str]]] = {}
    for form in ("name", "first", "last", "titled"):
        table[form] = lambda draw, form=form: (draw_name(pool, draw, form), "PERSON")  # type: ignore[misc]
    table["address"] = lambda draw: (draw_address(pool.places, pool.surnames, draw), "ADDRESS")
    table["street"] = lambda draw: (draw_street(pool.places, pool.surnames, draw), "ADDRESS")
    table["street_name"] = lambda draw: (draw_street(pool.places, pool.surnames, draw, numbered=False), "ADDRESS")
    table["corner"] = lambda draw: (draw_corner(pool.places, pool.surnames, draw), "ADDRESS")
    table["town"] = lambda draw: (draw.choice(pool.places.towns), "ADDRESS")
    table["state"] = lambda draw: (draw.choice(pool.places.regions), "ADDRESS")
    table["postcode"] = lambda draw: (
        draw.choice([draw.choice(pool.places.postcodes), _pattern(draw, ["#####"])]),
        "ADDRESS",
    )
    # A lone first name of a third person in a command to an assistant ("text asha i am late") is not personal.
    table["someone"] = lambda draw: (draw.choice(pool.first_names).lower(), "")
    table["zip"] = lambda draw: (draw.choice(pool.places.postcodes), "")
    for name, values in harmless.items():
        table[name] = lambda draw, values=values: (draw.choice(values), "")  # type: ignore[misc]
    table["num"] = lambda draw: ("".join(draw.choices(string.digits, k=draw.choice([2, 3, 4, 4, 5, 6, 8, 10, 12]))), "")
    table["digit"] = lambda draw: (str(draw.choice([2, 3, 4, 5, 7, 9, 10, 12, 14, 20, 30, 45])), "")
    table["year"] = lambda draw: (str(draw.randint(1940, 2026)), "")
    table["time"] = lambda draw: (
        f"{draw.randint(1, 12)}{draw.choice([':30', '', ':15'])}{draw.choice([' pm', 'am', ' am', 'pm'])}",
        "",
    )
    table["money"] = lambda draw: (
        draw.choice(["${}", "{} dollars", "£{}", "{} euros", "{}"]).format(draw.randint(2, 9000)),
        "",
    )
    table["phone"] = lambda draw: (
        _pattern(draw, ["###-###-####", "##########", "(###) ###-####", "+## ### ######", "0## #### ####"]),
        "",
    )
    table["code"] = lambda draw: (
        _pattern(
            draw,
            ["??? ###", "???###", "####", "##?#?", "?#?#?", "###-##-####", "########", "? ###", "?? ## ??", "### ? ##",
             "??? ? ###"],
        ),
        "",
    )  # fmt: skip
    table["email"] = lambda draw: (_email(pool, draw), "")
    table["user"] = lambda draw: (_email(pool, draw).split("@")[0], "")
    return table


def _pattern(draw: random.Random, patterns: list[str]) -> str:
    signs = {"#": string.digits, "?": string.ascii_uppercase}
    return "".join(draw.choice(signs[sign]) if sign in signs else sign for sign in draw.choice(patterns))


def _email(pool: Pool, draw: random.Random) -> str:
    local = (
        draw.choice([".", "_", ""])
        .join([draw.choice(pool.first_names), draw.choice(pool.surnames)])
        .lower()
        .replace(" ", "")
    )
    return f"{local}{draw.choice(['', str(draw.randint(1, 999))])}@{draw.choice(word_list('mail'))}.com"

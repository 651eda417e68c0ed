"""Generate street lines and addresses in the formats of many countries."""

import random
from typing import NamedTuple

from tasks.scrub.tagger.wordlists import word_list

KINDS = word_list("kinds")
_WORDS = word_list("words")
BEFORE_NAME = word_list("before_name")
_AFTER = word_list("after")
_UNITS = word_list("units")


class Places(NamedTuple):
    """Streets, towns, postcodes and complete addresses of a locale."""

    streets: list[str]
    towns: list[str]
    regions: list[str]
    countries: list[str]
    postcodes: list[str]
    addresses: list[str]


def draw_street(places: Places, surnames: list[str], draw: random.Random, numbered: bool = True) -> str:
    """Draw a street with or without its number, in English or continental order, or a post-office box."""
    chance = draw.random()
    if chance < 0.45:
        base = draw.choice([draw.choice(_WORDS), draw.choice(_WORDS), draw.choice(surnames), draw.choice(places.towns)])
        base = f"{draw.choice(_WORDS)} {base}" if draw.random() < 0.12 else base
        street = f"{base} {draw.choice(KINDS)}"
        if draw.random() < 0.06:
            street = f"{draw.choice(word_list('ordinal'))} {draw.choice([*KINDS[:8], 'Cross', 'Main'])}"
        if draw.random() < 0.08:
            street = f"{draw.choice(['N', 'S', 'E', 'W', 'North', 'South', 'East', 'West', 'NW'])} {street}"
    elif chance < 0.75:
        street = draw.choice(places.streets)
    elif chance < 0.87:
        street = f"{draw.choice(BEFORE_NAME)} {draw.choice(surnames)}" + (
            f" {draw.choice(surnames)}" if draw.random() < 0.3 else ""
        )
    else:
        street = draw.choice(surnames) + draw.choice(_AFTER)
    if not numbered:
        return street
    number = draw.choice([str(draw.randint(1, 99)), str(draw.randint(100, 999)), str(draw.randint(1000, 29999))])
    number += draw.choice(["", "", "", "", "", "", "a", "b", "/2", "-3"])
    if draw.random() < 0.03:
        return draw.choice(["P.O. Box {}", "PO Box {}", "po box {}"]).format(number)
    if draw.random() < 0.04:
        return f"{draw.choice(['no', 'No.', 'number', 'house no', 'door no', '#'])} {number} {street}"
    return f"{number} {street}" if draw.random() < (0.85 if chance < 0.45 else 0.45) else f"{street} {number}"


def draw_corner(places: Places, surnames: list[str], draw: random.Random) -> str:
    """Draw a crossing of two streets."""
    first, second = (draw_street(places, surnames, draw, numbered=draw.random() < 0.3) for _ in range(2))
    return draw.choice(
        ["the corner of {} and {}", "corner of {} and {}", "{} and {}", "{} & {}", "the corner of {} & {}"]
    ).format(first, second)


def draw_address(places: Places, surnames: list[str], draw: random.Random) -> str:
    """Draw an address: a street line with some of unit, town, region, country and postcode, on one or more lines."""
    if places.addresses and draw.random() < 0.2:
        text = draw.choice(places.addresses)
        return text if draw.random() < 0.5 else text.replace("\n", draw.choice([", ", " "]))
    if draw.random() < 0.3:
        return _american(places, surnames, draw)
    parts = [draw_street(places, surnames, draw)]
    if draw.random() < 0.2:
        parts[0] = f"{draw.choice([draw.randint(1, 99), draw.randint(100, 9999)]):02d} {parts[0]}"
    if draw.random() < 0.3:
        parts.append(
            draw.choice(_UNITS).format(
                draw.choice([str(draw.randint(1, 999)), f"{draw.randint(1, 30)}{draw.choice('ABCD')}"])
            )
        )
    town = draw.choice(places.towns)
    parts.append(town.upper() if draw.random() < 0.1 else town)
    if draw.random() < 0.5:
        parts.append(draw.choice(places.regions))
    if draw.random() < 0.35:
        parts.append(draw.choice(places.countries))
    if draw.random() < 0.7:
        code = draw.choice([draw.choice(places.postcodes), f"{draw.randint(1000, 99999):05d}"])
        if draw.random() < 0.25:
            parts.insert(-1, code)
        else:
            parts[-1] += f" {code}"
    comma = draw.choice([", ", ", ", ",", " ", "\n", "\n ", "\n, ", ",\n", " \n "])
    mixed = draw.random() < 0.3
    text = parts[0]
    for part in parts[1:]:
        text += (draw.choice([", ", " ", "\n", "\n "]) if mixed else comma) + part
    return text


def _american(places: Places, surnames: list[str], draw: random.Random) -> str:
    """Draw number, street, town, state and zip code, sometimes without the leading zero of the zip code."""
    base = draw.choice([*_WORDS, *draw.choices(surnames, k=20)])
    base = f"{base} {draw.choice(_WORDS)}" if draw.random() < 0.2 else base
    side = draw.choice(["", "", "", "", "N ", "S ", "E ", "W ", "North ", "West "])
    street = f"{draw.randint(1, 9999)} {side}{base} {draw.choice(KINDS)}"
    if draw.random() < 0.15:
        street += draw.choice([" ", ", ", "\n"]) + draw.choice(_UNITS).format(draw.randint(1, 400))
    town = draw.choice(places.towns) + draw.choice(["", "", "", "", " Beach", " City", " Park", " Heights", " Springs"])
    state = draw.choice(places.regions)
    code = draw.choice([f"{draw.randint(501, 99950):05d}", str(draw.randint(501, 99950)), str(draw.randint(501, 9999))])
    parts = [street, town, state, code][: draw.choice([2, 3, 4, 4, 4, 4])]
    if len(parts) == 4 and draw.random() < 0.1:
        parts.append(draw.choice(["USA", "US", "United States"]))
    first = draw.choice([" ", ", ", ", ", "\n", " \n ", ","])
    rest = draw.choice([" ", " ", ", ", "\n"])
    return parts[0] + first + parts[1] + "".join(draw.choice([", ", rest, " "]) + part for part in parts[2:])

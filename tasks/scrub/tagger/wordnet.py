"""WordNet for the tagger's corpus: its lemmas with how often they were met, and its example sentences."""

import re
from functools import lru_cache
from pathlib import Path

from deskloop.contract.errors import ConfigError

FOLDER = Path("/usr/share/wordnet")
_EXAMPLE = re.compile(r'"([^"]{8,160})"')


@lru_cache(maxsize=4)
def lemmas(part: str) -> dict[str, int]:
    """Lower-case single-word lemmas of one part of speech and their number of tagged senses (0 = never met in text)."""
    return {
        fields[0]: int(fields[5 + int(fields[3])])
        for line in _lines(f"index.{part}")
        if (fields := line.split())[0].isalpha()
    }


@lru_cache(maxsize=1)
def nouns() -> list[str]:
    """Nouns that were met in text and are written in lower case, so that no name of a person or place is among them."""
    capital = {
        word.lower() for line in _lines("data.noun") for word in line.split("|")[0].split()[4:5] if word[:1].isupper()
    }
    return [word for word, senses in lemmas("noun").items() if senses and word not in capital and len(word) > 2]


def verbs() -> list[str]:
    """Verbs that were met in text."""
    return [word for word, senses in lemmas("verb").items() if senses and len(word) > 2]


def adjectives() -> list[str]:
    """Adjectives that were met in text."""
    return [word for word, senses in lemmas("adj").items() if senses and len(word) > 2]


@lru_cache(maxsize=1)
def examples() -> list[str]:
    """Example sentences that hold no capital after their first letter, hence no name."""
    found = [
        sentence
        for part in ("noun", "verb", "adj", "adv")
        for line in _lines(f"data.{part}")
        for sentence in _EXAMPLE.findall(line.partition("|")[2])
    ]
    return [sentence for sentence in found if not any(sign.isupper() for sign in sentence[1:].replace(" I ", ""))]


def _lines(name: str) -> list[str]:
    path = FOLDER / name
    if not path.is_file():
        raise ConfigError(f"tagger: expected WordNet's {name} in {FOLDER}; install the Debian package wordnet-base")
    return [line for line in path.read_text().splitlines() if not line.startswith("  ")]

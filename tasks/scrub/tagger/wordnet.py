"""Read WordNet for the tagger's corpus: lemmas with the number of their tagged senses, and example sentences."""

import re
from functools import lru_cache
from pathlib import Path

from deskloop.contract.errors import ConfigError

FOLDER = Path("/usr/share/wordnet")
_EXAMPLE = re.compile(r'"([^"]{8,160})"')


@lru_cache(maxsize=4)
def lemmas(part: str) -> dict[str, int]:
    """Return the single-word lemmas of a part of speech with their number of tagged senses (0: not in tagged texts)."""
    return {
        fields[0]: int(fields[5 + int(fields[3])])
        for line in _lines(f"index.{part}")
        if (fields := line.split())[0].isalpha()
    }


@lru_cache(maxsize=1)
def nouns() -> list[str]:
    """Return the nouns in tagged texts that are written in lower case, which excludes names of people and places."""
    capital = {
        word.lower() for line in _lines("data.noun") for word in line.split("|")[0].split()[4:5] if word[:1].isupper()
    }
    return [word for word, senses in lemmas("noun").items() if senses and word not in capital and len(word) > 2]


def verbs() -> list[str]:
    """Return the verbs in tagged texts."""
    return [word for word, senses in lemmas("verb").items() if senses and len(word) > 2]


def adjectives() -> list[str]:
    """Return the adjectives in tagged texts."""
    return [word for word, senses in lemmas("adj").items() if senses and len(word) > 2]


@lru_cache(maxsize=1)
def examples() -> list[str]:
    """Return the example sentences without a capital letter after the first letter, and thus without names."""
    sentences = [
        sentence
        for part in ("noun", "verb", "adj", "adv")
        for line in _lines(f"data.{part}")
        for sentence in _EXAMPLE.findall(line.partition("|")[2])
    ]
    return [sentence for sentence in sentences if not any(sign.isupper() for sign in sentence[1:].replace(" I ", ""))]


def _lines(name: str) -> list[str]:
    path = FOLDER / name
    if not path.is_file():
        raise ConfigError(f"tagger: expected WordNet's {name} in {FOLDER}; install the Debian package wordnet-base")
    return [line for line in path.read_text().splitlines() if not line.startswith("  ")]

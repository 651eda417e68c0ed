"""The word lists of the corpus: `frames/words.txt`, with one `name: word|word` per line."""

from functools import lru_cache
from pathlib import Path

FRAMES = Path(__file__).parent / "frames"


@lru_cache(maxsize=1)
def _lists() -> dict[str, list[str]]:
    lines = (FRAMES / "words.txt").read_text(encoding="utf-8").splitlines()
    return {name: words.split("|") for name, _, words in (line.partition(": ") for line in lines)}


def word_list(name: str) -> list[str]:
    """Return the words of a list, in order."""
    return _lists()[name]

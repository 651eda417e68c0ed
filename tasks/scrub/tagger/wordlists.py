"""Word lists of the corpus, written for it: `frames/words.txt`, one `name: word|word` a line."""

from functools import lru_cache
from pathlib import Path

FRAMES = Path(__file__).parent / "frames"


@lru_cache(maxsize=1)
def _lists() -> dict[str, list[str]]:
    lines = (FRAMES / "words.txt").read_text(encoding="utf-8").splitlines()
    return {name: words.split("|") for name, _, words in (line.partition(": ") for line in lines)}


def word_list(name: str) -> list[str]:
    """The words of one list, in its order."""
    return _lists()[name]

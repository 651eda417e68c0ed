"""Rewrite texts line by line, which preserves line breaks, and lines around their protected spans.

A model first gets the entire line, either with its protected spans or with short codes in place of them, which models
mostly copy. If a span is lost or changed, the model gets the pieces between the spans.
"""

import re
import string
from collections.abc import Callable, Sequence

from tasks.augment.generators.spans import intact, pieces, spans
from tasks.augment.generators.tidy import tidy

Item = tuple[str, int]  # a text and its seed
Rewrite = Callable[[Sequence[Item]], list[str | None]]  # distinct items; same length and order; None: it could not

WORD = re.compile(r"[^\W\d_]+")
LINE_WORDS = 2  # fewest unprotected words of a line that is rewritten
PIECE_WORDS = 3  # the same for a piece between protected spans, where the context is missing
CODE = re.compile(r"(?<!\w)X(\d+)(?!\w)")


def by_line(texts: Sequence[str], seeds: Sequence[int], protect: Sequence[str], rewrite: Rewrite) -> list[str | None]:
    """Rewrite the lines of each text; a line that cannot be rewritten stays as it is.

    Args:
        texts, seeds: n of each.
        rewrite: gets each distinct line that has enough words, with the text's seed.
    Returns:
        n texts; None where nothing was rewritten, or the protected spans are not all in their places.
    """
    parts = [text.split("\n") for text in texts]
    items = {(line, seed) for lines, seed in zip(parts, seeds, strict=True) for line in lines if _words(line, protect)}
    ordered = sorted(items)
    made = dict(zip(ordered, rewrite(ordered), strict=True))
    results: list[str | None] = []
    for text, lines, seed in zip(texts, parts, seeds, strict=True):
        whole = "\n".join(made.get((line, seed)) or line for line in lines)
        results.append(whole if whole != text and intact(text, whole, protect) else None)
    return results


def around_spans(items: Sequence[Item], protect: Sequence[str], rewrite: Rewrite, codes: bool) -> list[str | None]:
    """Rewrite lines by a model: entire lines if their protected spans stay intact, otherwise in pieces.

    Args:
        items: n distinct lines with seeds.
        codes: replace protected spans by codes; otherwise the model sees them as they are.
    Returns:
        n lines; None where the model changed nothing, or spans are lost either way.
    """
    sent = [(_coded(line, protect) if codes else line, seed) for line, seed in items]
    whole = _asked(sent, rewrite)
    made = {item: _whole(item[0], whole[coded], protect, codes) for item, coded in zip(items, sent, strict=True)}
    failed = [item for item in items if made[item] is None]
    between = {
        item: [
            (_core(piece)[1], item[1])
            for piece, protected in pieces(item[0], protect)
            if not protected and _long(piece)
        ]
        for item in failed
        if len(pieces(item[0], protect)) > 1
    }
    rewritten = _asked([item for parts in between.values() for item in parts], rewrite)
    made |= {item: _joined(item, rewritten, protect) for item in between}
    return [made[item] for item in items]


def _asked(items: Sequence[Item], rewrite: Rewrite) -> dict[Item, str | None]:
    """Each distinct item once."""
    distinct = sorted(set(items))
    return dict(zip(distinct, rewrite(distinct), strict=True)) if distinct else {}


def _whole(line: str, answer: str | None, protect: Sequence[str], codes: bool) -> str | None:
    """Return the model's line; None unless its protected spans are intact and something has changed."""
    if answer is None:
        return None
    spans = [piece for piece, protected in pieces(line, protect) if protected]
    if codes:
        if [int(number) for number in CODE.findall(answer)] != list(range(len(spans))):
            return None
        answer = CODE.sub(lambda match: spans[int(match[1])], answer)
    result = tidy(line, answer, protect)
    return result if result is not None and result != line and intact(line, result, protect) else None


def _joined(item: Item, rewritten: dict[Item, str | None], protect: Sequence[str]) -> str | None:
    """Return the line with its long pieces rewritten, except for answers that contain a protected span."""
    line, seed = item
    parts = []
    for piece, protected in pieces(line, protect):
        before, core, after = ("", piece, "") if protected else _core(piece)
        answer = None if protected else rewritten.get((core, seed))
        said = None if answer is None or spans(answer, protect) else tidy(core, answer, protect)
        parts.append(before + (said or core) + after)
    result = "".join(parts)
    return result if result != line and intact(line, result, protect) else None


def _core(piece: str) -> tuple[str, str, str]:
    """Split into (before, from the first to the last letter, after), as the model needs no white space or quotes."""
    words = piece.strip(string.punctuation + string.whitespace + "“”‘’«»…–—")
    before, _, after = piece.partition(words) if words else (piece, "", "")
    return before, words, after


def _coded(line: str, protect: Sequence[str]) -> str:
    """Replace protected spans by X0, X1, ...; an X0 in the line itself has a digit and is a protected span."""
    parts, count = [], 0
    for piece, protected in pieces(line, protect):
        parts.append(f"X{count}" if protected else piece)
        count += protected
    return "".join(parts)


def _words(line: str, protect: Sequence[str]) -> bool:
    return sum(len(WORD.findall(piece)) for piece, protected in pieces(line, protect) if not protected) >= LINE_WORDS


def _long(piece: str) -> bool:
    return len(WORD.findall(piece)) >= PIECE_WORDS

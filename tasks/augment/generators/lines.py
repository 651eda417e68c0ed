"""Texts rewritten line by line, so that their lines stay; and lines rewritten around their protected spans.

A model is first given a line whole, protected spans and all, or with short codes in their place, which models mostly
copy. Where a span is lost or changed, the model is given what stands between the spans, piece by piece.
"""

import re
import string
from collections.abc import Callable, Sequence

from tasks.augment.generators.spans import intact, pieces, spans
from tasks.augment.generators.tidy import tidy

Item = tuple[str, int]  # a text and its seed
Rewrite = Callable[[Sequence[Item]], list[str | None]]  # distinct items; same length and order; None: it could not

WORD = re.compile(r"[^\W\d_]+")
LINE_WORDS = 2  # unprotected words, below which there is nothing to say in other words
PIECE_WORDS = 3  # the same between protected spans, where the context is missing
CODE = re.compile(r"(?<!\w)X(\d+)(?!\w)")


def by_line(texts: Sequence[str], seeds: Sequence[int], protect: Sequence[str], rewrite: Rewrite) -> list[str | None]:
    """Each text with its lines rewritten; a line that could not be stays as it is.

    Args:
        texts, seeds: n of each.
        rewrite: is given each distinct line that has enough words, with the text's seed.
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
    """Lines rewritten by a model, whole if their protected spans come out intact, otherwise in pieces.

    Args:
        items: n distinct lines with seeds.
        codes: put codes in the place of protected spans; otherwise the model sees them as they are.
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
    """The line as the model says it; None unless its protected spans are intact and something has changed."""
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
    """The line with its long pieces rewritten in place, except those that now say what looks like a protected span."""
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
    """(before, from the first to the last letter, after): the model needs no white space or quotes at the ends."""
    words = piece.strip(string.punctuation + string.whitespace + "“”‘’«»…–—")
    before, _, after = piece.partition(words) if words else (piece, "", "")
    return before, words, after


def _coded(line: str, protect: Sequence[str]) -> str:
    """The line with X0, X1, ... for its protected spans; one that says X0 itself has a digit and is a span."""
    parts, count = [], 0
    for piece, protected in pieces(line, protect):
        parts.append(f"X{count}" if protected else piece)
        count += protected
    return "".join(parts)


def _words(line: str, protect: Sequence[str]) -> bool:
    return sum(len(WORD.findall(piece)) for piece, protected in pieces(line, protect) if not protected) >= LINE_WORDS


def _long(piece: str) -> bool:
    return len(WORD.findall(piece)) >= PIECE_WORDS

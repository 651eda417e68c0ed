"""The tagger's network in numpy, with integer arithmetic, so that results do not depend on batch, thread or machine.

Weights and activations are 8-bit integers stored as float32. Sums of their products stay below 2**24, where float32 is
exact in any order of summation; all other operations are element-wise and correctly rounded (IEEE 754).
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.scrub.tagger.features import FLAGS, features
from tasks.scrub.tagger.tokens import PAD, is_placeholder

FILE = Path(__file__).with_name("model.npz")
TYPES = ("PERSON", "ADDRESS")
TAPS = ((-2, -1, 0, 1, 2), (-2, 0, 2), (-4, 0, 4))  # offsets of the tokens that each layer reads
REACH = 8  # tokens on each side that can affect a result
CEILING = 4.0  # maximum activation of a hidden unit
STEPS = 127  # quantization levels on each side of 0
KEPT = 60_000  # token forms whose embeddings are cached
BLOCK = 8192  # tokens computed at a time
_FINENESS, _RANGE = 16, 8  # probabilities come from a table for logits of -8 to 8 in sixteenths
_SCORES = np.array(
    [round(1 / (1 + math.exp(-step / _FINENESS)), 4) for step in range(-_RANGE * _FINENESS, _RANGE * _FINENESS + 1)]
)

Floats = NDArray[np.float32]


class Tagger:
    """The network, with a cache of the embeddings of token forms."""

    def __init__(self, file: Path = FILE) -> None:
        with np.load(file, allow_pickle=False) as stored:
            data: dict[str, Any] = {name: stored[name] for name in stored.files}
        self.grams, self.words, self.flags, self.shapes = (
            data[name].astype(np.float32) for name in ("grams", "words", "flags", "shapes")
        )
        self.unit = np.float32(data["unit"])
        self.layers = [
            (data[f"weight{n}"].astype(np.float32), np.float32(data[f"scale{n}"]), data[f"bias{n}"]) for n in range(4)
        ]
        self.vocabulary = {int(key): row for row, key in enumerate(data["vocabulary"], 1)}
        self.lists = dict(zip(data["listed"].tolist(), data["list_flags"].tolist(), strict=True))
        self._clear()

    def _clear(self) -> None:
        self.row_of: dict[str, int] = {PAD: 0}
        self.rows = np.zeros((1, self.words.shape[1]), np.float32)
        self.silent = np.ones(1, bool)  # pads and placeholders are never tagged

    def scores(self, tokens: list[str]) -> NDArray[np.float64]:
        """Return the probability of each type for each token, (tokens, types), rounded; 0 for pads and placeholders."""
        scores = np.zeros((len(tokens), len(TYPES)))
        for begin in range(0, len(tokens), BLOCK):
            first, last = max(0, begin - REACH), min(len(tokens), begin + BLOCK + REACH)
            part = self._block(tokens[first:last])
            scores[begin : begin + BLOCK] = part[begin - first : begin - first + BLOCK]
        return scores

    def _block(self, tokens: list[str]) -> NDArray[np.float64]:
        ids = self._ids(tokens)
        real = (ids != 0).astype(np.float32)[:, None]
        values = self.rows[ids]
        step = np.float32(1 / STEPS)
        for number, taps in enumerate(TAPS):
            weight, scale, bias = self.layers[number]
            sums = window(values, taps) @ weight
            sums *= scale * step
            sums += bias
            np.clip(sums, 0, CEILING, out=sums)
            sums *= np.float32(STEPS / CEILING)
            values = np.rint(sums, out=sums)
            values *= real
            step = np.float32(CEILING / STEPS)
        weight, scale, bias = self.layers[-1]
        logits = (values @ weight) * (scale * step) + bias
        steps = np.clip(np.rint(logits * np.float32(_FINENESS)), -_RANGE * _FINENESS, _RANGE * _FINENESS)
        scores = _SCORES[steps.astype(np.int64) + _RANGE * _FINENESS]
        scores[self.silent[ids]] = 0.0
        return scores

    def _ids(self, tokens: list[str]) -> NDArray[np.int64]:
        row_of = self.row_of
        new = [token for token in dict.fromkeys(tokens) if token not in row_of]
        if len(row_of) + len(new) > KEPT:
            self._clear()
            row_of, new = self.row_of, [token for token in dict.fromkeys(tokens) if token != PAD]
        if new:
            at = len(row_of)
            row_of.update(zip(new, range(at, at + len(new)), strict=True))
            if at + len(new) > len(self.rows):
                room = min(KEPT, 2 * (at + len(new)))
                self.rows = np.concatenate(
                    [self.rows, np.zeros((room - len(self.rows), self.rows.shape[1]), np.float32)]
                )
                self.silent = np.concatenate([self.silent, np.zeros(room - len(self.silent), bool)])
            self.rows[at : at + len(new)] = np.stack([self._row(token) for token in new])
            self.silent[at : at + len(new)] = [is_placeholder(token) for token in new]
        return np.fromiter(map(row_of.__getitem__, tokens), np.int64, len(tokens))

    def _row(self, token: str) -> Floats:
        word, stems, shape, grams = features(token)
        total = self.words[self.vocabulary.get(word, 0)] + self.shapes[shape]
        for bit in flag_bits(word, stems, self.lists):
            total = total + self.flags[bit]
        if grams:
            total = total + self.grams[grams].sum(axis=0) / np.float32(len(grams))
        return np.rint(np.clip(total * self.unit, -1, 1) * np.float32(STEPS))


def flag_bits(word: int, stems: tuple[int, ...], lists: dict[int, int]) -> list[int]:
    """Return the bits of the lists that contain a word, or, for lists of English words, one of its stems."""
    mask = lists.get(word, 0)
    dictionary = sum(1 << FLAGS.index(name) for name in ("noun", "verb", "adjective", "lemma", "frequent"))
    if not mask & dictionary:
        for stem in stems:
            mask |= lists.get(stem, 0) & dictionary
    return [bit for bit in range(len(FLAGS)) if mask >> bit & 1]


def window(values: Floats, taps: tuple[int, ...]) -> Floats:
    """Concatenate each row with its neighbours: (n, width) -> (n, taps * width), with zeros past the ends."""
    count, width = values.shape
    wide = np.zeros((count, len(taps) * width), np.float32)
    for number, tap in enumerate(taps):
        left, right = max(0, -tap), min(count, count - tap)
        if left < right:
            wide[left:right, number * width : (number + 1) * width] = values[left + tap : right + tap]
    return wide

"""Train the tagger on generated sentences and write its model file: `python -m tasks.scrub.tagger.train`.

Prints one JSON line with recall and precision on names and places that occur in no training sentence.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.scrub.tagger.corpus import Sample, generate
from tasks.scrub.tagger.features import FLAGS, Features, features
from tasks.scrub.tagger.inference import FILE, TYPES, flag_bits
from tasks.scrub.tagger.lists import word_lists
from tasks.scrub.tagger.tokens import GAP, PAD, pieces

WIDTH, HIDDEN = 32, 48
SEEN = 4  # minimum occurrences outside names for a word to have its own embedding
BATCH = 200  # samples per step


def label(sample: Sample) -> tuple[list[str], list[int]]:
    """Return the tokens of a text and the type of each: 0 none, 1 PERSON, 2 ADDRESS."""
    tokens = pieces([sample.text])[GAP:-GAP]
    marks, at, spans = [], 0, list(sample.spans)
    for token in tokens:
        start, at = at + (len(token) - len(token.lstrip(" ")) if token.strip() else 0), at + len(token)
        hit = [kind for begin, end, kind in spans if begin < at and start < end]
        marks.append(1 + TYPES.index(hit[0]) if hit else 0)
    return tokens, marks


class Corpus:
    """The training texts as sequences of form ids, and the features of each form."""

    def __init__(self, samples: list[Sample]) -> None:
        self.forms: dict[str, int] = {PAD: 0}
        self.texts: list[tuple[np.ndarray, np.ndarray]] = []
        outside: dict[str, int] = {}
        for sample in samples:
            tokens, marks = label(sample)
            ids = [self.forms.setdefault(token, len(self.forms)) for token in tokens]
            for token, mark in zip(tokens, marks, strict=True):
                if not mark:
                    outside[token] = outside.get(token, 0) + 1
            pad = [0] * GAP
            self.texts.append((np.array(ids + pad), np.array(marks + [-1] * GAP)))
        self.features = [features(form) if form != PAD else Features(0, (), 0, []) for form in self.forms]
        counts: dict[int, int] = {}
        for form, feature in zip(self.forms, self.features, strict=True):
            if form != PAD and feature.word:
                counts[feature.word] = counts.get(feature.word, 0) + outside.get(form, 0)
        self.vocabulary = sorted(word for word, count in counts.items() if count >= SEEN)
        self.lists = word_lists()

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the word row, flags and shape of each form, and its n-grams as (flat, offsets)."""
        place = {word: row for row, word in enumerate(self.vocabulary, 1)}
        flags = np.zeros((len(self.features), len(FLAGS)), np.float32)
        for row, feature in enumerate(self.features):
            flags[row, flag_bits(feature.word, feature.stems, self.lists)] = 1
        words = np.array([place.get(feature.word, 0) for feature in self.features])
        shapes = np.array([feature.shape for feature in self.features])
        flat = np.array([gram for feature in self.features for gram in feature.grams])
        offsets = np.cumsum([0] + [len(feature.grams) for feature in self.features])
        return words, flags, shapes, flat, offsets

    def batches(self, order: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield shuffled batches as flat (ids, marks), with pads between texts."""
        turn = order.permutation(len(self.texts))
        for begin in range(0, len(turn), BATCH):
            chosen = [self.texts[number] for number in turn[begin : begin + BATCH]]
            yield np.concatenate([ids for ids, _ in chosen]), np.concatenate([marks for _, marks in chosen])


def fit(corpus: Corpus, epochs: int, seed: int) -> dict[str, np.ndarray]:
    """Train with quantized weights in the forward pass, and return the arrays of the model file."""
    import torch

    from tasks.scrub.tagger.network import Network

    torch.set_num_threads(1)  # for the same order of summation on any machine; the steps are small
    torch.manual_seed(seed)
    network = Network(len(corpus.vocabulary) + 1, WIDTH, HIDDEN)
    tables = [torch.from_numpy(table) for table in corpus.tables()]
    steps = epochs * -(-len(corpus.texts) // BATCH)
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    order = np.random.default_rng(seed)
    for epoch in range(epochs):
        started, total, count = time.monotonic(), 0.0, 0
        for ids, marks in corpus.batches(order):
            forms, places = np.unique(ids, return_inverse=True)
            logits = network(tables, torch.from_numpy(forms), torch.from_numpy(places.reshape(-1)), True)
            wanted = torch.from_numpy(marks)
            goal = torch.stack([(wanted == 1).float(), (wanted == 2).float()], 1)
            real = wanted >= 0
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[real], goal[real])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total, count = total + loss.item(), count + 1
        print(f"epoch {epoch + 1}: loss {total / count:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    keys = sorted(corpus.lists)
    return network.arrays() | {
        "vocabulary": np.array(corpus.vocabulary, np.uint32), "listed": np.array(keys, np.uint32),
        "list_flags": np.array([corpus.lists[key] for key in keys], np.uint16),
    }  # fmt: skip


def measure(samples: list[Sample]) -> dict[str, Any]:
    """Measure the model file: recall of spans by type (all letters and digits covered), precision of characters."""
    from tasks.scrub.tagger import tag

    right, wrong, hit, total, touched = 0, 0, dict.fromkeys(TYPES, 0), dict.fromkeys(TYPES, 0), 0
    plain = sum(not sample.spans for sample in samples)
    for sample, spans in zip(samples, tag([sample.text for sample in samples]), strict=True):
        covered = {at for span in spans for at in range(span.start, span.end) if sample.text[at].isalnum()}
        wanted = set()
        for start, end, kind in sample.spans:
            signs = {at for at in range(start, end) if sample.text[at].isalnum()}
            wanted |= signs
            total[kind] += 1
            hit[kind] += signs <= covered
        right, wrong = right + len(covered & wanted), wrong + len(covered - wanted)
        touched += bool(spans) and not sample.spans
    return {
        "recall": {kind: round(hit[kind] / max(1, total[kind]), 3) for kind in TYPES},
        "precision": round(right / max(1, right + wrong), 3), "plain_touched": round(touched / max(1, plain), 4),
    }  # fmt: skip


def main() -> None:
    """Generate the corpus, train, write the model file, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=300_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    corpus = Corpus(generate(options.samples, options.seed))
    print(f"{len(corpus.forms)} forms, {len(corpus.vocabulary)} words, {len(corpus.lists)} listed", flush=True)
    arrays = fit(corpus, options.epochs, options.seed)
    with options.file.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)
    if options.file == FILE:
        print(json.dumps({"bytes": FILE.stat().st_size, "held_out": measure(generate(6000, options.seed + 1, True))}))


if __name__ == "__main__":
    main()

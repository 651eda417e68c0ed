"""Measure recall and false positives of scrub on public data whose personal values people or scripts have labelled.

    python -m benchmarks.recall [--data FOLDER] [--only pii star multidogo intents] [--sample N] [--misses N]

Each file goes through the code of `deskloop scrub` with the default options and without known values. A span counts as
found if all its letters and digits were replaced. The last line is one JSON object. For development, `--misses` prints
N misses and N false positives of each file; they are other people's text, so do not store them. docs/public-data.md
describes the data; without it, the script reports `skipped`.
"""

import argparse
import gzip
import itertools
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.scrub import ScrubConfig
from tasks.scrub.stream import scrub_lines

DATA = Path(__file__).parents[2] / "shared" / "data"
_WHO = ("PERSON", "ADDRESS", "STREET_ADDRESS", "ZIP_CODE", "AGE", "PHONE_NUMBER", "EMAIL_ADDRESS", "IP_ADDRESS")
_NUMBERS = ("CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_DRIVER_LICENSE")
PII = frozenset((*_WHO, *_NUMBERS))
STAR = frozenset(["person_name", "account_number", "pin", "security_answer", "date_of_birth"])
MULTIDOGO = frozenset(
    ["person_name", "ssn", "address", "phone", "email", "account_number", "card_number", "password", "username"]
)

Place = tuple[int, int]


@dataclass
class Text:
    """A text with its labelled values and its scrubbed spans.

    Attributes:
        wanted: (type, start, end) of the values that must be replaced.
        allowed: (start, end) of everything that may be replaced without being a false positive.
        counts: whether its other characters are counted.
        scrubbed: (start, end) of the replaced spans.
    """

    text: str
    wanted: list[tuple[str, int, int]] = field(default_factory=list)
    allowed: list[Place] = field(default_factory=list)
    counts: bool = True
    scrubbed: list[Place] = field(default_factory=list)


@dataclass
class Tally:
    """Counts over the texts of one file."""

    planted: Counter[str] = field(default_factory=Counter)
    detected: Counter[str] = field(default_factory=Counter)
    values: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lost: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    characters: int = 0
    scrubbed: int = 0
    others: int = 0
    too_much: int = 0
    texts: int = 0
    touched: int = 0
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    needless: list[tuple[str, str]] = field(default_factory=list)

    def add(self, text: Text) -> None:
        """Count a text."""
        gone = _mask(text.text, text.scrubbed)
        allowed = _mask(text.text, text.allowed)
        for kind, start, end in text.wanted:
            value = text.text[start:end]
            self.planted[kind] += 1
            self.values[kind].add(value.lower())
            if all(gone[place] for place in range(start, end) if text.text[place].isalnum()):
                self.detected[kind] += 1
            else:
                self.lost[kind].add(value.lower())
                self.missed.append((kind, value, text.text))
        self.texts += 1
        self.touched += bool(text.scrubbed)
        if text.counts:
            self.characters += len(text.text)
            self.scrubbed += sum(gone)
            self.others += len(text.text) - sum(allowed)
            self.too_much += sum(g and not a for g, a in zip(gone, allowed, strict=True))
        for start, end in text.scrubbed:
            if not all(allowed[start:end]):
                self.needless.append((text.text[start:end], text.text))

    def recall(self) -> float:
        """Return the share of the labelled values that were found."""
        return round(self.detected.total() / max(1, self.planted.total()), 4)

    def by_type(self) -> dict[str, dict[str, float | int]]:
        """Return the recall of each type, with its numbers of spans, of distinct values and of missed values."""
        return {
            kind: {
                "recall": round(self.detected[kind] / planted, 4),
                "spans": planted,
                "values": len(self.values[kind]),
                "lost": len(self.lost[kind]),
            }
            for kind, planted in self.planted.most_common()
        }

    def excess(self) -> float:
        """Return the share of the other characters that were replaced."""
        return round(self.too_much / max(1, self.others), 5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the files of docs/public-data.md")
    parser.add_argument("--only", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--sample", type=int, default=1, help="take every Nth row")
    parser.add_argument("--misses", type=int, default=0, help="print this many errors of each kind and file")
    parser.add_argument("--detector", default="embedded")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(json.dumps({"skipped": f"no folder {options.data.name} with public data"}))
        return
    config = ScrubConfig(detector=options.detector)
    results = {}
    for name in options.only:
        began = time.monotonic()
        results |= FILES[name](options.data, config, options)
        print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    print(json.dumps(results))


def pii(data: Path, config: ScrubConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Measure presidio-research's templates: recall, and the share of replaced characters that have a label."""
    tally = Tally()
    rows = list(_rows(data / "pii_dev.jsonl.gz", options.sample))
    batch = [[Text(row["text"], *_labels(row["spans"]))] for row in rows]
    for (text,) in _scrubbed(batch, [["customer"]] * len(rows), config):
        tally.add(text)
    _show("pii", tally, options.misses)
    precision = 1 - tally.too_much / max(1, tally.scrubbed)
    return {"pii": {"recall": tally.recall(), "precision": round(precision, 4), "types": tally.by_type()}}


def _labels(spans: Sequence[dict[str, Any]]) -> tuple[list[tuple[str, int, int]], list[Place]]:
    wanted = [(span["type"], span["start"], span["end"]) for span in spans if span["type"] in PII]
    return wanted, [(span["start"], span["end"]) for span in spans]


def star(data: Path, config: ScrubConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Measure STAR: the customers' values in their own turns, with entire conversations as input."""
    customers, everyone = Tally(), Tally()
    batch, roles = [], []
    for row in _rows(data / "star_dev.jsonl.gz", options.sample):
        texts = [Text(turn["text"]) for turn in row["turns"]]
        for span in row["pii_spans"]:
            text = texts[span["turn"]]
            text.allowed.append((span["start"], span["end"]))
            if span["type"] in STAR and row["turns"][span["turn"]]["role"] == "customer":
                text.wanted.append((span["type"], span["start"], span["end"]))
        batch.append(texts)
        roles.append([turn["role"] for turn in row["turns"]])
    for texts, speakers in zip(_scrubbed(batch, roles, config), roles, strict=True):
        for text, speaker in zip(texts, speakers, strict=True):
            if speaker == "customer":
                customers.add(text)
            if speaker in ("customer", "agent"):
                everyone.add(text)
    _show("star", customers, options.misses)
    survive = round(1 - customers.detected.total() / max(1, customers.planted.total()), 4)
    shares = {"others_own": customers.excess(), "others_all": everyone.excess()}
    return {"star": {"survive": survive, **shares, "types": customers.by_type()}}


def multidogo(data: Path, config: ScrubConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Measure MultiDoGO: the customers' turns in lower case without punctuation, labelled by people."""
    tally, strict = Tally(), Tally()
    batch = [
        [
            Text(
                turn["text"],
                [(span["type"], span["start"], span["end"]) for span in turn["spans"] if span["type"] in MULTIDOGO],
                [(span["start"], span["end"]) for span in turn["spans"]],
            )
            for turn in row["turns"]
        ]
        for row in _rows(data / "multidogo_dev.jsonl.gz", options.sample)
    ]
    personal = [
        [[(span["start"], span["end"]) for span in turn["spans"] if span["pii"]] for turn in row["turns"]]
        for row in _rows(data / "multidogo_dev.jsonl.gz", options.sample)
    ]
    for texts, places in zip(
        _scrubbed(batch, [["customer"] * len(texts) for texts in batch], config), personal, strict=True
    ):
        for text, allowed in zip(texts, places, strict=True):
            tally.add(text)
            text.allowed = allowed
            strict.add(text)
    _show("multidogo", tally, options.misses)
    shares = {"others": tally.excess(), "others_not_personal": strict.excess()}
    return {"multidogo": {"recall": tally.recall(), **shares, "types": tally.by_type()}}


def intents(data: Path, config: ScrubConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Measure banking77 and CLINC: questions without personal data, each a conversation of one turn."""
    rows = [
        row
        for row in _rows(data / "intents_dev.jsonl.gz", options.sample)
        if row["source"] in ("banking77", "clinc150")
    ]
    tallies: dict[str, Tally] = defaultdict(Tally)
    scrubbed = _scrubbed([[Text(row["text"])] for row in rows], [["customer"]] * len(rows), config)
    for row, (text,) in zip(rows, scrubbed, strict=True):
        tallies[row["source"]].add(text)
        tallies["all"].add(text)
    _show("intents", tallies["all"], options.misses)
    return {"intents": {name: round(tally.touched / tally.texts, 5) for name, tally in sorted(tallies.items())}}


FILES = {"pii": pii, "star": star, "multidogo": multidogo, "intents": intents}


def _rows(file: Path, sample: int) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, itertools.islice(lines, 0, None, sample))


def _scrubbed(batch: Sequence[list[Text]], roles: Sequence[Sequence[str]], config: ScrubConfig) -> Iterator[list[Text]]:
    """Yield the conversations with `scrubbed` set from the spans that `deskloop scrub` reports."""
    lines = (
        json.dumps(
            {"turns": [{"role": role, "text": text.text} for text, role in zip(texts, speakers, strict=True)]}
        ).encode()
        for texts, speakers in zip(batch, roles, strict=True)
    )
    for texts, line in zip(batch, scrub_lines(lines, config), strict=True):
        for span in json.loads(line)["spans"]:
            texts[span["turn"]].scrubbed.append((span["start"], span["end"]))
        yield texts


def _mask(text: str, places: Iterable[Place]) -> bytearray:
    """Return one byte per character: 1 inside any of the spans."""
    mask = bytearray(len(text))
    for start, end in places:
        mask[start:end] = b"\x01" * (end - start)
    return mask


def _show(name: str, tally: Tally, count: int) -> None:
    for kind, value, text in tally.missed[:: max(1, len(tally.missed) // count)][:count] if count else ():
        print(f"{name} missed {kind} {value!r} in {text!r}", file=sys.stderr)
    for value, text in tally.needless[:: max(1, len(tally.needless) // count)][:count] if count else ():
        print(f"{name} needless {value!r} in {text!r}", file=sys.stderr)


if __name__ == "__main__":
    main()

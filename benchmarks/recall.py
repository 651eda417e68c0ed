"""What scrub finds and what it takes too much, on public data with personal values that people or scripts have marked.

    python -m benchmarks.recall [--data FOLDER] [--only pii star multidogo intents] [--sample N] [--misses N]

Each file goes through `deskloop scrub`'s own code with the default options, and without being told any value. A span
counts as found when every letter and digit of it was taken out. The last line is one JSON object; `--misses` prints,
for development, N of the missed and of the needlessly scrubbed places of each file, which are other people's text:
look, do not keep. docs/public-data.md says where the data is from; without it there is nothing to measure, and the
script says so.
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
    """A text, its marked values, and where it was scrubbed.

    Attributes:
        wanted: (type, start, end) of the values that must go.
        allowed: (start, end) of everything that may go without being too much.
        counts: whether its other characters are counted.
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
    found: Counter[str] = field(default_factory=Counter)
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

    def add(self, one: Text) -> None:
        """Count one text."""
        gone = _mask(one.text, one.scrubbed)
        allowed = _mask(one.text, one.allowed)
        for kind, start, end in one.wanted:
            value = one.text[start:end]
            self.planted[kind] += 1
            self.values[kind].add(value.lower())
            if all(gone[place] for place in range(start, end) if one.text[place].isalnum()):
                self.found[kind] += 1
            else:
                self.lost[kind].add(value.lower())
                self.missed.append((kind, value, one.text))
        self.texts += 1
        self.touched += bool(one.scrubbed)
        if one.counts:
            self.characters += len(one.text)
            self.scrubbed += sum(gone)
            self.others += len(one.text) - sum(allowed)
            self.too_much += sum(g and not a for g, a in zip(gone, allowed, strict=True))
        for start, end in one.scrubbed:
            if not all(allowed[start:end]):
                self.needless.append((one.text[start:end], one.text))

    def recall(self) -> float:
        """Share of the marked values that were found."""
        return round(self.found.total() / max(1, self.planted.total()), 4)

    def by_type(self) -> dict[str, dict[str, float | int]]:
        """Recall of each type, with the number of spans and of distinct values, all and lost ones."""
        return {
            kind: {
                "recall": round(self.found[kind] / planted, 4),
                "spans": planted,
                "values": len(self.values[kind]),
                "lost": len(self.lost[kind]),
            }
            for kind, planted in self.planted.most_common()
        }

    def excess(self) -> float:
        """Share of the characters that nothing allows to go, and that went."""
        return round(self.too_much / max(1, self.others), 5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the files of docs/public-data.md")
    parser.add_argument("--only", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--sample", type=int, default=1, help="take every Nth row")
    parser.add_argument("--misses", type=int, default=0, help="print so many errors of each kind and file")
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
    """presidio-research's templates: recall, and how much of what went is in some label."""
    tally = Tally()
    rows = list(_rows(data / "pii_dev.jsonl.gz", options.sample))
    for (one,) in _scrubbed(
        [[Text(row["text"], *_labels(row["spans"]))] for row in rows], [["customer"]] * len(rows), config
    ):
        tally.add(one)
    _show("pii", tally, options.misses)
    precision = 1 - tally.too_much / max(1, tally.scrubbed)
    return {"pii": {"recall": tally.recall(), "precision": round(precision, 4), "types": tally.by_type()}}


def _labels(spans: Sequence[dict[str, Any]]) -> tuple[list[tuple[str, int, int]], list[Place]]:
    wanted = [(span["type"], span["start"], span["end"]) for span in spans if span["type"] in PII]
    return wanted, [(span["start"], span["end"]) for span in spans]


def star(data: Path, config: ScrubConfig, options: argparse.Namespace) -> dict[str, Any]:
    """STAR: the customers' own values in their own turns, whole conversations given."""
    own, everyone = Tally(), Tally()
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
                own.add(text)
            if speaker in ("customer", "agent"):
                everyone.add(text)
    _show("star", own, options.misses)
    survive = round(1 - own.found.total() / max(1, own.planted.total()), 4)
    shares = {"others_own": own.excess(), "others_all": everyone.excess()}
    return {"star": {"survive": survive, **shares, "types": own.by_type()}}


def multidogo(data: Path, config: ScrubConfig, options: argparse.Namespace) -> dict[str, Any]:
    """MultiDoGO: lower case, no punctuation, customers' turns only; marked by people."""
    tally, strict = Tally(), Tally()
    batch = [
        [
            Text(
                turn["text"],
                [(one["type"], one["start"], one["end"]) for one in turn["spans"] if one["type"] in MULTIDOGO],
                [(one["start"], one["end"]) for one in turn["spans"]],
            )
            for turn in row["turns"]
        ]
        for row in _rows(data / "multidogo_dev.jsonl.gz", options.sample)
    ]
    personal = [
        [[(one["start"], one["end"]) for one in turn["spans"] if one["pii"]] for turn in row["turns"]]
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
    """banking77 and CLINC: questions without personal data, each a conversation of one turn."""
    rows = [
        row
        for row in _rows(data / "intents_dev.jsonl.gz", options.sample)
        if row["source"] in ("banking77", "clinc150")
    ]
    tallies: dict[str, Tally] = defaultdict(Tally)
    scrubbed = _scrubbed([[Text(row["text"])] for row in rows], [["customer"]] * len(rows), config)
    for row, (one,) in zip(rows, scrubbed, strict=True):
        tallies[row["source"]].add(one)
        tallies["all"].add(one)
    _show("intents", tallies["all"], options.misses)
    return {"intents": {name: round(tally.touched / tally.texts, 5) for name, tally in sorted(tallies.items())}}


FILES = {"pii": pii, "star": star, "multidogo": multidogo, "intents": intents}


def _rows(file: Path, sample: int) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, itertools.islice(lines, 0, None, sample))


def _scrubbed(batch: Sequence[list[Text]], roles: Sequence[Sequence[str]], config: ScrubConfig) -> Iterator[list[Text]]:
    """The conversations with `scrubbed` set from the spans that `deskloop scrub` reports."""
    lines = (
        json.dumps(
            {"turns": [{"role": role, "text": one.text} for one, role in zip(texts, said, strict=True)]}
        ).encode()
        for texts, said in zip(batch, roles, strict=True)
    )
    for texts, line in zip(batch, scrub_lines(lines, config), strict=True):
        for span in json.loads(line)["spans"]:
            texts[span["turn"]].scrubbed.append((span["start"], span["end"]))
        yield texts


def _mask(text: str, places: Iterable[Place]) -> bytearray:
    """One byte for each character: 1 inside one of the places."""
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

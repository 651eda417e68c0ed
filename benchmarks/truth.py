"""Measure which personal values of the example log remain after scrub, by comparison with the log's ground truth.

    python -m benchmarks.truth [--seed N ...] [--conversations N] [--half first|second] [--left N]

The default example pipeline runs up to scrub in a new store, on the committed log, or with `--seed` on a log from
examples/support/generate.py. Every value in the ground truth is looked up at its position. It counts as left if any of
its letters or digits remains; a rejected row leaves nothing. `ordinary_lost` is the share of the other letters and
digits that were replaced. The last line is one JSON object; `--left` prints the remaining values.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.pipeline.load import load_pipeline
from deskloop.run.session import open_run, run_step
from tasks import stages
from tasks.scrub.decode import decode

EXAMPLE = Path(__file__).parents[1] / "examples" / "support"


@dataclass
class Tally:
    """Counts of values by type, form, and whether the source declared them.

    Attributes:
        values, left: counts of (type, form, "known" or "unknown").
        ordinary, lost: letters and digits outside all values, and those of them that were replaced.
        rows, rejected: conversations, and those that scrub rejected.
        examples: (type, form, written, scrubbed text of the turn) of the remaining values.
    """

    values: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    left: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    ordinary: int = 0
    lost: int = 0
    rows: int = 0
    rejected: int = 0
    examples: list[tuple[str, str, str, str]] = field(default_factory=list)

    def by(self, part: int) -> dict[str, dict[str, float]]:
        """Return values and the share that is left, by type (0), form (1) or declaration (2), highest share first."""
        values: Counter[str] = Counter()
        left: Counter[str] = Counter()
        for kinds, count in self.values.items():
            values[kinds[part]] += count
            left[kinds[part]] += self.left[kinds]
        rows = {
            kind: {"values": count, "left": left[kind], "share": round(left[kind] / count, 4)}
            for kind, count in values.items()
        }
        return dict(sorted(rows.items(), key=lambda row: (-row[1]["share"], row[0])))

    def result(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        total = self.values.total()
        known = self.by(2).get("known", {"values": 0, "left": 0})
        return {
            "rows": self.rows,
            "rejected": self.rejected,
            "values": total,
            "left": self.left.total(),
            "share": round(self.left.total() / max(1, total), 5),
            "known_left": known["left"],
            "ordinary_lost": round(self.lost / max(1, self.ordinary), 5),
            "types": self.by(0),
            "forms": self.by(1),
            "declared": self.by(2),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="+", help="seeds of generated logs; default: the committed log")
    parser.add_argument("--conversations", type=int, default=2400, help="of a generated log")
    parser.add_argument("--half", choices=["first", "second"], help="count only every other conversation")
    parser.add_argument("--left", type=int, default=0, metavar="N", help="print up to N values that are left")
    options = parser.parse_args()
    results = {}
    for seed in options.seed or [None]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            log, truth = EXAMPLE / "log", EXAMPLE / "truth.jsonl.gz"
            if seed is not None:
                log, truth = _generated(folder / "generated", seed, options.conversations)
            tally = compare(_scrubbed(folder, log), log, truth, options.half)
        for kind, form, written, text in tally.examples[: options.left]:
            print(f"{kind} {form} {written!r} in {text!r}", file=sys.stderr)
        _table(tally)
        results["committed" if seed is None else f"seed_{seed}"] = tally.result()
    print(json.dumps(results if options.seed else results["committed"]))


def _generated(folder: Path, seed: int, conversations: int) -> tuple[Path, Path]:
    command = [sys.executable, str(EXAMPLE / "generate.py"), "--seed", str(seed), "--out", str(folder / "log")]
    command += ["--conversations", str(conversations)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "log", folder / "truth.jsonl.gz"


def _scrubbed(folder: Path, log: Path) -> dict[str, list[str]]:
    """Return conversation id -> texts of its turns in the example pipeline's `scrubbed` dataset."""
    (folder / "pipeline.yaml").write_text((EXAMPLE / "pipeline.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "log").symlink_to(log)
    pipeline = load_pipeline(folder / "pipeline.yaml", stages())
    with open_run(pipeline, lambda line: print(line, file=sys.stderr)) as run:
        for step in pipeline.steps[:2]:
            run_step(run, step)
        (version,) = run.entries["scrub"].versions
        table = run.store.read(version.zone, version.dataset, version.delta_version, ["conversation_id", "turns"])
    return {row["conversation_id"]: [turn["text"] for turn in row["turns"]] for row in table.to_pylist()}


def compare(scrubbed: dict[str, list[str]], log: Path, truth: Path, half: str | None = None) -> Tally:
    """Compare scrubbed conversations with the ground truth.

    Args:
        scrubbed: conversation id -> texts of its turns.
        log: a folder of `*.jsonl.gz`, read in the order of their names.
        truth: one line for each line of the log.
        half: count only the `first` or the `second` of every two conversations.
    """
    tally, seen = Tally(), set()
    for number, (row, facts) in enumerate(zip(_lines(log), _objects(truth), strict=True)):
        if facts["broken"] or row is None or facts["conversation_id"] in seen:
            continue
        seen.add(facts["conversation_id"])
        if row["no_training"] or (half and half != ("first", "second")[number % 2]):
            continue
        tally.rows += 1
        texts = scrubbed.get(facts["conversation_id"])
        tally.rejected += texts is None
        _count(tally, row, facts["values"], texts)
    return tally


def _lines(log: Path) -> Iterator[dict[str, Any] | None]:
    for file in sorted(log.glob("*.jsonl.gz")):
        with gzip.open(file, "rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                yield row if isinstance(row, dict) else None


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _count(tally: Tally, row: dict[str, Any], values: Sequence[dict[str, Any]], texts: Sequence[str] | None) -> None:
    """Count the values of a conversation; `texts` is None if its row was rejected."""
    customer = row["customer"]
    declared = {
        _key(value) for value in (customer["name"], customer["email"], customer["phone"], row["order_id"]) if value
    }
    declared |= {_key(part) for part in (customer["name"] or "").split()}
    for place, turn in enumerate(row["turns"]):
        scrubbed = texts[place] if texts is not None else ""
        left, ordinary = _remaining(turn["text"], scrubbed), _remaining(turn["text"], None)
        reached = 0
        for value in (value for value in values if value["turn"] == place):
            start = turn["text"].index(value["written"], reached)
            reached = start + len(value["written"])
            ordinary[start:reached] = bytes(reached - start)
            kinds = value["type"], value["form"], "known" if _key(value["value"]) in declared else "unknown"
            tally.values[kinds] += 1
            if any(left[start:reached]):
                tally.left[kinds] += 1
                tally.examples.append((value["type"], value["form"], value["written"], scrubbed))
        if texts is not None:
            tally.ordinary += sum(ordinary)
            tally.lost += sum(is_ordinary and not stays for is_ordinary, stays in zip(ordinary, left, strict=True))


def _remaining(source: str, scrubbed: str | None) -> bytearray:
    """Return one byte per character of the source: 1 if the scrubbed text contains a letter or digit from it.

    None means the decoded source itself, to which the letters of tags and entity names do not belong.
    """
    decoded = decode(source)
    left, reached = bytearray(len(source)), 0
    literals = [decoded.text] if scrubbed is None else PLACEHOLDER.split(scrubbed)
    for number, literal in enumerate(literals):
        last = number == len(literals) - 1
        start = len(decoded.text) - len(literal) if last else decoded.text.find(literal, reached + bool(number))
        if start < reached or not decoded.text.startswith(literal, start):
            raise ValueError("a scrubbed text is not its source with placeholders, so its values cannot be looked up")
        reached = start + len(literal)
        for at in range(start, reached):
            if decoded.text[at].isalnum():
                begin, end = decoded.source(at, at + 1)
                left[begin:end] = b"\x01" * (end - begin)
    return left


def _key(value: str) -> str:
    return re.sub(r"[\W_]+", "", value).casefold()


def _table(tally: Tally) -> None:
    for title, part in (("type", 0), ("form", 1), ("declared", 2)):
        print(f"{title:<20} {'values':>7} {'left':>6} {'share':>8}")
        for kind, row in tally.by(part).items():
            print(f"{kind:<20} {row['values']:>7,} {row['left']:>6,} {row['share']:>8.2%}")
    print(f"ordinary characters lost: {tally.lost / max(1, tally.ordinary):.2%}; rows rejected: {tally.rejected}")


if __name__ == "__main__":
    main()

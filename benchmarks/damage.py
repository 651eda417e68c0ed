"""Damage: 750 flipped bits and 30 damaged files of every kind; nothing wrong is published, and `data verify` finds all.

    .venv/bin/python -m benchmarks.damage [--flips 750] [--lines 150] [--cost-lines 1000]

A small store is built once (data, base and candidate, a memo). Every flip is followed by reading every version of the
table that has it, every 25th by the next run on a changed log; every damage of a file by `data verify` and by the
next run. The last line is one JSON object; `cost` is the share of a run's CPU time that goes into verifying.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deskloop.audit.verify import verify
from deskloop.contract.errors import DamageError, DeskloopError
from deskloop.pipeline.load import load_pipeline
from deskloop.run.session import open_run, run_step
from deskloop.store import checksums, commit, snapshot
from deskloop.store.catalog import Catalog
from deskloop.store.memo import Memo
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw
from tasks import stages
from tests.deskloop.store.damage import active, delete, entries, flip, parts, swap, truncate, zero
from tests.flows.desk import Desk, example_lines

HELPFUL = ("deskloop data restore", "rebuilds it", "restore it from a backup", "restore them from a backup")
MODEL = {"finetune": {"max_steps": 2, "batch_tokens": 512, "checkpoint_every": 2}}


class Bench:
    """A built store, and copies of it to damage."""

    def __init__(self, folder: Path, lines: int) -> None:
        self.folder, self.lines = folder, lines
        desk = Desk(folder / "built", example_lines(lines))
        desk.extra = MODEL
        self.desk = desk
        for count in (lines - 20, lines - 10, lines):
            desk.write(example_lines(count))
            self.run(desk.folder)
        with Memo(str(desk.folder / "store" / "memo" / "encode.sqlite")) as memo:
            memo.remember("benchmark", {(f"text {n}", n): f"output {n}" * 5 for n in range(200)})
        self.undisturbed = self.run(self.changed(self.copy("undisturbed")))

    def copy(self, name: str) -> Path:
        """A copy of the built folder, in place of an earlier one of that name."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        return Path(shutil.copytree(self.folder / "built", place))

    def changed(self, folder: Path) -> Path:
        """The log with its first line gone and ten more."""
        lines = example_lines(self.lines + 10)[1:]
        (folder / "log" / "day-1.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return folder

    def run(self, folder: Path, model: bool = True) -> dict[str, str]:
        """Run the data part, and the model part up to the candidate; dataset -> digest."""
        if not (folder / "pipeline.yaml").exists():
            self.desk.save()
        pipeline = load_pipeline(folder / "pipeline.yaml", stages())
        with open_run(pipeline, lambda line: None) as run:
            for step in [*pipeline.data_steps, *([pipeline.step("base"), pipeline.step("finetune")] if model else [])]:
                run_step(run, step)
            versions = [one for entry in run.entries.values() for one in entry.versions]
            return {one.dataset: one.digest for one in map(run.engine.catalog.get, (one.name for one in versions))}

    def cost(self, lines: int) -> dict[str, dict[str, float]]:
        """CPU time spent verifying, and its share: of a first preparation, of the next one, of one that reuses."""
        desk = Desk(self.folder / "cost", example_lines(lines))
        desk.save()
        shares = {"first": self._share(desk.folder)}
        desk.write(example_lines(lines + lines // 10))
        return shares | {"next": self._share(desk.folder), "reused": self._share(desk.folder)}

    def _share(self, folder: Path) -> dict[str, float]:
        spent, depth = [0.0], [0]

        def timed(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                depth[0] += 1
                began = time.process_time()
                try:
                    return function(*arguments, **options)
                finally:
                    depth[0] -= 1
                    if not depth[0]:
                        spent[0] += time.process_time() - began

            return call

        places = [
            (snapshot.Snapshot, "content"), (snapshot.Snapshot, "check_sizes"), (snapshot, "state_of"),
            (snapshot, "load"), (commit, "_so_far"), (commit, "_with_new_commits"), (commit, "save"),
            (checksums, "expect_table"),
        ]  # fmt: skip
        kept = [(owner, name, getattr(owner, name)) for owner, name in places]
        for owner, name, function in kept:
            setattr(owner, name, timed(function))
        try:
            began = time.process_time()
            self.run(folder, model=False)
            whole = time.process_time() - began
            return {"share": round(spent[0] / whole, 4), "seconds": round(spent[0], 3), "of": round(whole, 2)}
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)


def flips(bench: Bench, count: int) -> Counter[str]:
    """Flip one bit at a time, anywhere in the Parquet files of the data, each as likely as its file is long."""
    found: Counter[str] = Counter()
    drawn = random.Random(9)
    folder = bench.copy("flips")
    store, catalog = Store(folder / "store"), Catalog(folder / "store" / "catalog")
    files = [path for zone in ("raw", "clean") for path in parts(folder / "store" / zone)]
    weights = [path.stat().st_size for path in files]
    for number in range(count):
        (part,) = drawn.choices(files, weights)
        bit = drawn.randrange(8 * part.stat().st_size)
        table = next(parent for parent in part.parents if (parent / "_delta_log").is_dir())
        place = f"{table.parent.name}/{table.name}"
        flip(part, bit)
        with allow_raw("benchmark"):
            for one in (one for one in catalog.versions if f"{one.zone}/{one.dataset}" == place):
                try:
                    rows = store.read(one.zone, one.dataset, one.delta_version, ["row_id", "_hash"])
                    feed = store.changes(one.zone, one.dataset, 0, one.delta_version)
                except DamageError as error:
                    found["noticed by a reader"] += 1
                    found["unhelpful_messages"] += not any(text in str(error) for text in HELPFUL)
                else:
                    if part.name in {
                        Path(path).name for path in store.snapshot(one.zone, one.dataset, one.delta_version).files
                    }:
                        found["wrong_published"] += 1
                    del rows, feed
        whole = verify_tables(store, place)
        found["missed_by_verify"] += not whole
        if number % 25 == 0:
            _next_run(bench, _damaged_copy(bench, folder, part, bit), found, part.name)
        flip(part, bit)
        (table / checksums.DAMAGED).unlink(missing_ok=True)
    found["flips"] = count
    return found


def verify_tables(store: Store, place: str) -> bool:
    """Whether `data verify` finds the table damaged; the rest of the store is left out, for speed."""
    from deskloop.audit.verify import _check_table

    with allow_raw("benchmark"):
        try:
            _check_table(store.root / place)
        except DamageError:
            return True
    return False


def _damaged_copy(bench: Bench, flipped: Path, part: Path, bit: int) -> Path:
    copy = bench.copy("next")
    flip(copy / part.relative_to(flipped), bit)
    return copy


def _next_run(bench: Bench, folder: Path, found: Counter[str], what: str) -> None:
    """The next run on a changed log: right digests, or a useful message and nothing wrong published."""
    built = Catalog(bench.folder / "built" / "store" / "catalog").versions
    before = {one.name for one in built}
    right = {*bench.undisturbed.values(), *(one.digest for one in built)}
    try:
        after = bench.run(bench.changed(folder))
    except DeskloopError as error:
        found["refused"] += 1
        if not any(text in str(error) for text in HELPFUL):
            found["unhelpful_messages"] += 1
            print(f"  unhelpful after {what}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
        try:
            now = Catalog(folder / "store" / "catalog").versions
        except DeskloopError:
            now = []
        right = {
            *bench.undisturbed.values(),
            *(one.digest for one in Catalog(bench.folder / "built" / "store" / "catalog").versions),
        }
        wrong = [
            one.name for one in now if one.name not in before and one.kind == "dataset" and one.digest not in right
        ]
    except Exception as error:
        found["unhelpful_messages"] += 1
        print(f"  foreign error after {what}: {type(error).__name__}", file=sys.stderr)
        wrong = []
    else:
        found["went on, right"] += 1
        wrong = [name for name, digest in bench.undisturbed.items() if after.get(name) != digest]
    if wrong:
        found["wrong_published"] += 1
        print(f"  wrong after {what}: {wrong}", file=sys.stderr)


def _damages(store: Path) -> dict[str, Callable[[], None]]:
    """Thirty damages of every kind of file of a store."""
    raw, clean, ledger = store / "raw" / "ingested", store / "clean", store / "ledger"
    blob = next(path for path in sorted((ledger / "blobs").rglob("*.json")))
    base = next((store / "models" / "base").iterdir())
    candidate = next((store / "models" / "desk").iterdir())
    feed = [path for path in parts(clean) if "_change_data" in path.parts]
    if not feed:
        raise RuntimeError("no table of this log has change data to damage; take more --lines")
    weights = next(candidate.glob("*.safetensors"))
    return {
        "raw part flipped": lambda: flip(active(raw)[0]),
        "raw part truncated": lambda: truncate(active(raw)[0]),
        "raw log entry deleted": lambda: delete(entries(raw)[-1]),
        "raw table deleted": lambda: delete(raw),
        "quarantine part zeroed": lambda: zero(active(store / "raw" / "quarantine")[0]),
        "quarantine deleted": lambda: delete(store / "raw" / "quarantine"),
        "part flipped": lambda: flip(active(clean / "deduped")[0]),
        "part truncated": lambda: truncate(active(clean / "train")[0]),
        "part zeroed": lambda: zero(active(clean / "normalized")[0]),
        "part deleted": lambda: delete(active(clean / "scrubbed")[0]),
        "change data flipped": lambda: [flip(path) for path in feed] and None,
        "change data deleted": lambda: [delete(path) for path in feed] and None,
        "tables swapped": lambda: swap(clean / "train", clean / "test"),
        "log entry truncated": lambda: truncate(entries(clean / "scrubbed")[-1]),
        "log entry zeroed": lambda: zero(entries(clean / "deduped")[0]),
        "last log entry deleted": lambda: delete(entries(clean / "train_encoded")[-1]),
        "checksums flipped": lambda: flip(clean / "validation" / "_checksums.json"),
        "rejects part flipped": lambda: flip(active(clean / "scrub.rejects")[0]),
        "rejects deleted": lambda: delete(clean / "normalize.rejects"),
        "catalog part flipped": lambda: flip(active(store / "catalog")[0]),
        "catalog last log entry deleted": lambda: delete(entries(store / "catalog")[-1]),
        "families flipped": lambda: flip(active(ledger / "families")[0]),
        "artifacts deleted": lambda: delete(ledger / "artifacts"),
        "arrivals log truncated": lambda: truncate(entries(ledger / "arrivals")[-1]),
        "blob flipped": lambda: flip(blob),
        "blob deleted": lambda: delete(blob.parent),
        "memo zeroed": lambda: zero(store / "memo" / "encode.sqlite"),
        "base weights flipped": lambda: flip(next(base.glob("*.safetensors"))),
        "candidate weights truncated": lambda: truncate(weights),
        "candidate config deleted": lambda: delete(candidate / "config.json"),
        "candidate tokenizer flipped": lambda: flip(candidate / "tokenizer.json"),
        "key truncated": lambda: truncate(store / "keys" / "hmac.json"),
        "key deleted": lambda: delete(store / "keys" / "hmac.json"),
    }


def files(bench: Bench) -> Counter[str]:
    """Damage one file of every kind, verify, and run."""
    found: Counter[str] = Counter()
    for name in _damages(bench.folder / "built" / "store"):
        folder = bench.copy("damaged")
        _damages(folder / "store")[name]()
        store = Store(folder / "store")
        with store.alone():
            result = verify(store)
        if not result.findings:
            found["missed_by_verify"] += 1
            print(f"  verify missed: {name}", file=sys.stderr)
        found["unhelpful_messages"] += sum(not one.remedy or not one.problem for one in result.findings)
        _next_run(bench, folder, found, name)
        found["damages"] += 1
    return found


def main() -> None:
    """Build, flip, damage, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=750)
    parser.add_argument("--lines", type=int, default=150)
    parser.add_argument("--cost-lines", type=int, default=1000)
    arguments = parser.parse_args()
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.lines)
        cost = bench.cost(arguments.cost_lines)
        print(f"share of CPU time that is verification: {cost}", file=sys.stderr)
        whole = verify(Store(Path(folder) / "built" / "store"))
        if whole.findings:
            raise SystemExit(f"the undamaged store has findings: {whole.as_dict()}")
        damaged = files(bench)
        print(f"files: {dict(damaged)}", file=sys.stderr)
        flipped = flips(bench, arguments.flips)
    zeros = dict.fromkeys(("wrong_published", "unhelpful_messages", "missed_by_verify"), 0)
    print(json.dumps({"flips": zeros | flipped, "files": zeros | damaged, "cost": cost}))


if __name__ == "__main__":
    main()

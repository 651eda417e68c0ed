"""Flip 750 bits and damage 30 files of every kind: no wrong data is published, and `data verify` finds all damage.

    python -m benchmarks.damage [--flips 750] [--lines 150] [--cost-lines 1000]

A small store is built once (data, base and candidate, a memo). After each flip, every version of the affected table is
read, and after every 25th flip the pipeline runs on a changed log; after each damaged file, `data verify` and the
pipeline run. The last line is one JSON object; `cost` is the share of a run's CPU time spent on verification.
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
    """A built store, and copies of it that are damaged."""

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
        """Copy the built folder, replacing an earlier copy of that name."""
        copy = self.folder / name
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(self.folder / "built", copy))

    def changed(self, folder: Path) -> Path:
        """Remove the first line of the log and append ten more."""
        lines = example_lines(self.lines + 10)[1:]
        (folder / "log" / "day-1.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return folder

    def run(self, folder: Path, model: bool = True) -> dict[str, str]:
        """Run the data steps, and the model steps up to the candidate; return dataset -> digest."""
        if not (folder / "pipeline.yaml").exists():
            self.desk.save()
        pipeline = load_pipeline(folder / "pipeline.yaml", stages())
        with open_run(pipeline, lambda line: None) as run:
            for step in [*pipeline.data_steps, *([pipeline.step("base"), pipeline.step("finetune")] if model else [])]:
                run_step(run, step)
            names = [version.name for entry in run.entries.values() for version in entry.versions]
            return {version.dataset: version.digest for version in map(run.engine.catalog.get, names)}

    def cost(self, lines: int) -> dict[str, dict[str, float]]:
        """Measure the CPU time of verification and its share in a first run, the next run, and one that reuses all."""
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
        originals = [(owner, name, getattr(owner, name)) for owner, name in places]
        for owner, name, function in originals:
            setattr(owner, name, timed(function))
        try:
            began = time.process_time()
            self.run(folder, model=False)
            whole = time.process_time() - began
            return {"share": round(spent[0] / whole, 4), "seconds": round(spent[0], 3), "of": round(whole, 2)}
        finally:
            for owner, name, function in originals:
                setattr(owner, name, function)


def flips(bench: Bench, count: int) -> Counter[str]:
    """Flip one random bit at a time, uniformly over all Parquet files of the data."""
    tally: Counter[str] = Counter()
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
            affected = [version for version in catalog.versions if f"{version.zone}/{version.dataset}" == place]
            for version in affected:
                try:
                    store.read(version.zone, version.dataset, version.delta_version, ["row_id", "_hash"])
                    store.changes(version.zone, version.dataset, 0, version.delta_version)
                except DamageError as error:
                    tally["noticed by a reader"] += 1
                    tally["unhelpful_messages"] += not any(text in str(error) for text in HELPFUL)
                else:
                    files_read = store.snapshot(version.zone, version.dataset, version.delta_version).files
                    tally["wrong_published"] += part.name in {Path(path).name for path in files_read}
        tally["missed_by_verify"] += not verify_tables(store, place)
        if number % 25 == 0:
            _next_run(bench, _damaged_copy(bench, folder, part, bit), tally, part.name)
        flip(part, bit)
        (table / checksums.DAMAGED).unlink(missing_ok=True)
    tally["flips"] = count
    return tally


def verify_tables(store: Store, place: str) -> bool:
    """Check whether `data verify` finds the table damaged; it skips the rest of the store for speed."""
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


def _next_run(bench: Bench, folder: Path, tally: Counter[str], damage: str) -> None:
    """Run on a changed log; expect the right digests, or a helpful error and no wrong version."""
    built = Catalog(bench.folder / "built" / "store" / "catalog").versions
    before = {version.name for version in built}
    right = {*bench.undisturbed.values(), *(version.digest for version in built)}
    try:
        after = bench.run(bench.changed(folder))
    except DeskloopError as error:
        tally["refused"] += 1
        if not any(text in str(error) for text in HELPFUL):
            tally["unhelpful_messages"] += 1
            print(f"  unhelpful after {damage}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
        try:
            now = Catalog(folder / "store" / "catalog").versions
        except DeskloopError:
            now = []
        added = [version for version in now if version.name not in before and version.kind == "dataset"]
        wrong = [version.name for version in added if version.digest not in right]
    except Exception as error:
        tally["unhelpful_messages"] += 1
        print(f"  foreign error after {damage}: {type(error).__name__}", file=sys.stderr)
        wrong = []
    else:
        tally["went on, right"] += 1
        wrong = [name for name, digest in bench.undisturbed.items() if after.get(name) != digest]
    if wrong:
        tally["wrong_published"] += 1
        print(f"  wrong after {damage}: {wrong}", file=sys.stderr)


def _damages(store: Path) -> dict[str, Callable[[], None]]:
    """Return name -> function that damages a file of a store, for every kind of file."""
    raw, clean, ledger = store / "raw" / "ingested", store / "clean", store / "ledger"
    blob = next(path for path in sorted((ledger / "blobs").rglob("*.json")))
    base = next((store / "models" / "base").iterdir())
    candidate = next((store / "models" / "desk").iterdir())
    feed = [path for path in parts(clean) if "_change_data" in path.parts]
    if not feed:
        raise RuntimeError("no table of this log has change data to damage; increase --lines")
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
    """Damage one file of every kind in turn, verify, and run."""
    tally: Counter[str] = Counter()
    for name in _damages(bench.folder / "built" / "store"):
        folder = bench.copy("damaged")
        _damages(folder / "store")[name]()
        store = Store(folder / "store")
        with store.alone():
            result = verify(store)
        if not result.findings:
            tally["missed_by_verify"] += 1
            print(f"  verify missed: {name}", file=sys.stderr)
        tally["unhelpful_messages"] += sum(not finding.remedy or not finding.problem for finding in result.findings)
        _next_run(bench, folder, tally, name)
        tally["damages"] += 1
    return tally


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

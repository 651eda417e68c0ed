"""Erase one customer of 2,000 and search every file of the store for them.

    python -m benchmarks.erase [--customers 2000] [--steps 20]

The data steps run over a generated log, and a very small model is trained, so that the erasure has a model to report.
`deskloop data erase` erases the customer with the most conversations by id. Then every file, with Parquet, SQLite and
archives decoded, is searched for the customer's id, name, e-mail, phone, order and conversation ids, and for sentences
that no one else wrote. The last line is one JSON object. Keys: `customers`, `conversations` (of the store), `erased`
(conversations of the customer), `values` (searched for), `found_before`, `found_after`, `others_equal` (whether the
hashes of all other rows are unchanged), `reused` (whether the next run reuses every step except the model's), `models`,
`prepare_s`, `dry_run_s`, `erase_s`.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
INGEST = {
    "ingest": {
        "sources": [
            {
                "path": "given/log/*.gz",
                "customer": {"id": "customer.id", "email": "customer.email", "phone": "customer.phone"},
                "known": {"PERSON": ["customer.name"], "EMAIL_ADDRESS": ["customer.email"], "ORDER_ID": ["order_id"]},
                "opt_out": "no_training",
            }
        ]
    }
}
STEPS = [
    INGEST,
    "scrub",
    {"normalize": {"min_turns": 2}},
    "dedupe",
    "annotate",
    {"augment": {"target": 0.3, "max_copies": 1, "generators": [{"kind": "noise"}]}},
    "balance",
    "split",
    {"encode": {"max_length": 256}},
]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2000, help="minimum number of customers in the log")
    parser.add_argument("--steps", type=int, default=20, help="optimizer steps of the model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ |= {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"  # for a busy machine
        print(json.dumps(measure(folder, options.customers, options.steps)))


def measure(folder: Path, customers: int, steps: int) -> dict[str, Any]:
    """Create a store, erase, search, and return the figures."""
    from tests.sweep import sweep

    records = _log(folder, customers)
    file, store = folder / "pipeline.yaml", folder / "store"
    model = {
        "finetune": {"max_steps": steps, "batch_tokens": 1024},
        "evaluate": {"prompts": ["Where is my order?"], "max_new_tokens": 5, "resamples": 100},
        "promote": {"better_than": ["base"], "min_families": 2},
    }
    file.write_text(json.dumps({"name": "bench", "store": "store", "workers": 1, "steps": STEPS, **model}))
    prepare_s, _ = _deskloop("run", "-c", file, "-q", "--json")
    customer, theirs = _whom(records, _rows(store))
    ids = {record["conversation_id"] for record in theirs}
    values = _values(theirs, store)
    found_before = {name for _, name in sweep(store, values)}
    before = {place: digest for place, digest in _rows(store).items() if place[1].partition("/")[0] not in ids}
    command = ["data", "erase", "-c", file, "--customer", customer, "-q", "--json"]
    dry_run_s, _ = _deskloop(*command, "--dry-run")
    erase_s, erasure = _deskloop(*command, "--yes")
    _, plan = _deskloop("plan", "-c", file, "--json")
    remaining = sweep(folder, values, lambda path: path.is_relative_to(folder / "given"))
    not_reused = {entry["step"]: entry["why"] for entry in plan[: len(STEPS)] if entry["action"] != "reuse"}
    print(json.dumps({"erasure": erasure, "not reused": not_reused}), file=sys.stderr)
    for path, name in remaining:
        print(f"{path.relative_to(folder)}: {name.split()[0]}", file=sys.stderr)
    equal = _rows(store) == before
    return {
        "customers": len({record["customer"]["id"] for record in records}),
        "conversations": len(records),
        "erased": erasure["conversations"],
        "values": len(values),
        "found_before": len(found_before),
        "found_after": len(remaining),
        "others_equal": equal,
        "reused": not not_reused,
        "models": [entry["model"] for entry in erasure["models"]],
        "prepare_s": round(prepare_s, 1),
        "dry_run_s": round(dry_run_s, 1),
        "erase_s": round(erase_s, 1),
    }


def _log(folder: Path, customers: int) -> list[dict[str, Any]]:
    """Generate a log of at least `customers` customers in `given`; return the readable records."""
    generate = ROOT / "examples" / "support" / "generate.py"
    log, conversations = folder / "given" / "log", customers
    while True:
        command = [sys.executable, generate, "--conversations", str(conversations), "--out", log]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        packed = [path.read_bytes() for path in sorted(log.glob("*.gz"))]
        lines = [line for content in packed for line in gzip.decompress(content).splitlines()]
        records = []
        for line in lines:
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        records = [row for row in records if isinstance(row, dict) and isinstance(row.get("customer"), dict)]
        if len({record["customer"]["id"] for record in records}) >= customers:
            return records
        conversations = int(conversations * 1.3)
        for path in log.glob("*.gz"):
            path.unlink()


def _whom(records: Sequence[dict[str, Any]], rows: dict[tuple[str, str], bytes]) -> tuple[str, list[dict[str, Any]]]:
    """Return the customer with the most conversations in training, and their records."""
    trained = {row_id.partition("/")[0] for dataset, row_id in rows if dataset == "train_encoded"}
    counts = Counter(record["customer"]["id"] for record in records if record["conversation_id"] in trained)
    customer = min(counts, key=lambda name: (-counts[name], name))
    return customer, [record for record in records if record["customer"]["id"] == customer]


def _values(theirs: Sequence[dict[str, Any]], root: Path) -> dict[str, str]:
    """Return the customer's values in the log, and the lines that no one else wrote."""
    values: dict[str, str] = {}
    for at, record in enumerate(theirs):
        values |= {f"{name} {at}": str(value) for name, value in record["customer"].items()}
        values[f"conversation {at}"] = record["conversation_id"]
        if record.get("order_id"):
            values[f"order {at}"] = record["order_id"]
    ids = {record["conversation_id"] for record in theirs}
    lines = sorted({line for record in theirs for line in _lines(record)})
    others = "\n".join(line.casefold() for name, line in _texts(root) if name not in ids)
    return values | {f"sentence {at}": line for at, line in enumerate(lines) if line.casefold() not in others}


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (conversation id, text) of every turn in the ingested and in the later datasets, whose texts differ."""
    from deskloop.store.catalog import Catalog
    from deskloop.store.store import Store
    from deskloop.store.zones import allow_raw

    with allow_raw("benchmark"):
        for name in ("ingested", "scrubbed", "normalized", "augmented"):
            version = Catalog(root / "catalog").get(name)
            rows = Store(root).read(version.zone, name, version.delta_version, ["conversation_id", "turns"]).to_pylist()
            yield from ((row["conversation_id"], turn["text"]) for row in rows for turn in row["turns"])


def _lines(record: dict[str, Any]) -> set[str]:
    """Return the customer's lines of at least 40 characters."""
    turns = [turn for turn in record.get("turns") or () if isinstance(turn, dict)]
    texts = [str(turn.get("text")) for turn in turns if turn.get("role") == "customer"]
    return {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= 40}


def _rows(root: Path) -> dict[tuple[str, str], bytes]:
    """Return (dataset, row id) -> hash of every row in the current versions."""
    from deskloop.store.catalog import Catalog
    from deskloop.store.store import Store
    from deskloop.store.zones import allow_raw

    hashes, store = {}, Store(root)
    versions = Catalog(root / "catalog").versions
    latest = {version.dataset: version for version in versions if version.kind == "dataset"}
    with allow_raw("benchmark"):
        for name, version in latest.items():
            table = store.read(version.zone, name, version.delta_version, ["row_id", "_hash"])
            hashes |= {(name, row["row_id"]): row["_hash"] for row in table.to_pylist()}
    return hashes


def _deskloop(*arguments: object) -> tuple[float, Any]:
    """Run a command; return its time in seconds and the JSON document that it printed."""
    began = time.monotonic()
    command = [sys.executable, "-m", "deskloop", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"deskloop {arguments[0]} failed")
    return time.monotonic() - began, json.load(io.StringIO(done.stdout))


if __name__ == "__main__":
    main()

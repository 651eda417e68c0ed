"""Erase one customer of 2,000 and look for them in every file of the store.

    python -m benchmarks.erase [--customers 2000] [--steps 20]

The log is generated; the data steps run over it and a very small model is trained, so that there is one to be named.
The customer with the most conversations is erased, by id, through `deskloop data erase`. Then every file is searched,
Parquet, SQLite and whatever is compressed decoded, for what the log says of them: id, name, e-mail, phone, order and
conversation ids, and the sentences that nobody else wrote. The last line is one JSON object. Keys: `customers`,
`conversations` (of the store), `erased` (conversations of the one), `values` (looked for), `found_before`,
`found_after`, `others_equal` (whether all other rows have the hashes they had), `reused` (whether the next run reuses
every step but the model's), `models`, `prepare_s`, `dry_run_s`, `erase_s`.
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
    parser.add_argument("--customers", type=int, default=2000, help="customers in the log, at least")
    parser.add_argument("--steps", type=int, default=20, help="optimizer steps of the model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ |= {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"  # beside other work
        print(json.dumps(measure(folder, options.customers, options.steps)))


def measure(folder: Path, customers: int, steps: int) -> dict[str, Any]:
    """Make a store, erase, search; returns the figures."""
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
    customer, own = _whom(records, _rows(store))
    ids = {one["conversation_id"] for one in own}
    values = _values(own, store)
    found_before = {name for _, name in sweep(store, values)}
    before = {place: one for place, one in _rows(store).items() if place[1].partition("/")[0] not in ids}
    command = ["data", "erase", "-c", file, "--customer", customer, "-q", "--json"]
    dry_run_s, _ = _deskloop(*command, "--dry-run")
    erase_s, told = _deskloop(*command, "--yes")
    _, plan = _deskloop("plan", "-c", file, "--json")
    left = sweep(folder, values, lambda path: path.is_relative_to(folder / "given"))
    plan_told = {one["step"]: one["why"] for one in plan[: len(STEPS)] if one["action"] != "reuse"}
    print(json.dumps({"told": told, "not reused": plan_told}), file=sys.stderr)
    for path, name in left:
        print(f"{path.relative_to(folder)}: {name.split()[0]}", file=sys.stderr)
    equal = _rows(store) == before
    return {
        "customers": len({one["customer"]["id"] for one in records}),
        "conversations": len(records),
        "erased": told["conversations"],
        "values": len(values),
        "found_before": len(found_before),
        "found_after": len(left),
        "others_equal": equal,
        "reused": all(one["action"] == "reuse" for one in plan[: len(STEPS)]),
        "models": [one["model"] for one in told["models"]],
        "prepare_s": round(prepare_s, 1),
        "dry_run_s": round(dry_run_s, 1),
        "erase_s": round(erase_s, 1),
    }


def _log(folder: Path, customers: int) -> list[dict[str, Any]]:
    """Generate a log of at least so many customers in `given`; returns the records that can be read."""
    generate = ROOT / "examples" / "support" / "generate.py"
    log, conversations = folder / "given" / "log", customers
    while True:
        command = [sys.executable, generate, "--conversations", str(conversations), "--out", log]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        packed = [path.read_bytes() for path in sorted(log.glob("*.gz"))]
        lines = [line for one in packed for line in gzip.decompress(one).splitlines()]
        records = []
        for line in lines:
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        records = [one for one in records if isinstance(one, dict) and isinstance(one.get("customer"), dict)]
        if len({one["customer"]["id"] for one in records}) >= customers:
            return records
        conversations = int(conversations * 1.3)
        for path in log.glob("*.gz"):
            path.unlink()


def _whom(
    records: Sequence[dict[str, Any]], rows: dict[tuple[str, str], bytes]
) -> tuple[str, list[dict[str, Any]]]:  # fmt: skip
    """The customer with the most conversations in training."""
    trained = {row_id.partition("/")[0] for dataset, row_id in rows if dataset == "train_encoded"}
    counts = Counter(one["customer"]["id"] for one in records if one["conversation_id"] in trained)
    customer = min(counts, key=lambda name: (-counts[name], name))
    return customer, [one for one in records if one["customer"]["id"] == customer]


def _values(own: Sequence[dict[str, Any]], root: Path) -> dict[str, str]:
    """What the log says of a customer, and the lines that nobody else wrote."""
    found = {f"{name} {at}": str(one["customer"][name]) for at, one in enumerate(own) for name in one["customer"]}
    found |= {f"conversation {at}": one["conversation_id"] for at, one in enumerate(own)}
    found |= {f"order {at}": one["order_id"] for at, one in enumerate(own) if one.get("order_id")}
    theirs = {one["conversation_id"] for one in own}
    said = sorted({line for one in own for line in _lines(one)})
    everything = "\n".join(line.casefold() for name, line in _texts(root) if name not in theirs)
    return found | {f"sentence {at}": line for at, line in enumerate(said) if line.casefold() not in everything}


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    """(conversation id, text) of every turn as it was read and as it was cleaned: not all are as the log has them."""
    from deskloop.store.catalog import Catalog
    from deskloop.store.store import Store
    from deskloop.store.zones import allow_raw

    with allow_raw("benchmark"):
        for name in ("ingested", "scrubbed", "normalized", "augmented"):
            one = Catalog(root / "catalog").get(name)
            rows = Store(root).read(one.zone, name, one.delta_version, ["conversation_id", "turns"]).to_pylist()
            yield from ((row["conversation_id"], turn["text"]) for row in rows for turn in row["turns"])


def _lines(record: dict[str, Any]) -> set[str]:
    """The customer's lines of some length."""
    turns = [turn for turn in record.get("turns") or () if isinstance(turn, dict)]
    texts = [str(turn.get("text")) for turn in turns if turn.get("role") == "customer"]
    return {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= 40}


def _rows(root: Path) -> dict[tuple[str, str], bytes]:
    """(dataset, row id) -> hash of every row of the versions in use."""
    from deskloop.store.catalog import Catalog
    from deskloop.store.store import Store
    from deskloop.store.zones import allow_raw

    found, store = {}, Store(root)
    latest = {one.dataset: one for one in Catalog(root / "catalog").versions if one.kind == "dataset"}
    with allow_raw("benchmark"):
        for name, one in latest.items():
            table = store.read(one.zone, name, one.delta_version, ["row_id", "_hash"])
            found |= {(name, row["row_id"]): row["_hash"] for row in table.to_pylist()}
    return found


def _deskloop(*arguments: object) -> tuple[float, Any]:
    """Seconds, and the JSON document that a command printed."""
    began = time.monotonic()
    command = [sys.executable, "-m", "deskloop", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"deskloop {arguments[0]} failed")
    return time.monotonic() - began, json.load(io.StringIO(done.stdout))


if __name__ == "__main__":
    main()

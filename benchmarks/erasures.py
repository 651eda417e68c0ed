"""Erase twenty customers in sequence under load, and try to erase by ordinary words.

    python -m benchmarks.erasures [--customers 120] [--erasures 20] [--load 12]

The generated log includes unreadable records; ingest and scrub run over it. `--load` processes keep the processors busy
while the commands run. Before every third erasure, a request by an ordinary word (`order`, `Monday`) must be rejected
without changing a file. Each erasure names a customer, alternately by id, e-mail or phone; afterwards no file of the
store may contain the customer's id or one of the conversations' ids. The last line is one JSON object. Keys:
`erasures`, `good` (exit code 0, no value found, all other rows unchanged), `by_words`, `touched_by_words` (requests
that changed a file of the store or were not rejected), `seconds` (of the slowest erasure), `load`, `rows_left`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.erase import ROOT, STEPS, _log, _rows
from deskloop.run.prefect_server import TemporaryServer

WORDS = ("order", "Monday", "customer", "thanks", "2024", "turns", "refund", "hello")
UNREADABLE = (
    b'{"conversation_id": "HD-990001", "turns": [{"role": "customer", "text": "my order of Monday, order 7',
    b"Monday,order,refund,hello,thanks,2024",
    b'{"weekday": "Monday", "product": {"id": "order"}, "turns": [{"role": "customer", "text": "hello 2024 refund',
)
BUSY = "while True: sum(range(100_000))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=120, help="minimum number of customers in the log")
    parser.add_argument("--erasures", type=int, default=20, help="number of requests that name a customer")
    parser.add_argument("--load", type=int, default=12, help="number of processes that keep the processors busy")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ |= {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        with TemporaryServer() as server:  # otherwise each command would start its own
            server.wait()
            os.environ["PREFECT_API_URL"] = server.url
            print(json.dumps(measure(folder, options.customers, options.erasures, options.load)))


def measure(folder: Path, customers: int, erasures: int, load: int) -> dict[str, Any]:
    """Create a store, erase under load, and return the figures."""
    records = _log(folder, customers)
    (folder / "given" / "log" / "unreadable.jsonl").write_bytes(b"\n".join(UNREADABLE) + b"\n")
    steps = json.loads(json.dumps(STEPS[:2]))
    steps[0]["ingest"]["sources"][0]["path"] = "given/log/*"
    file, store = folder / "pipeline.yaml", folder / "store"
    file.write_text(json.dumps({"name": "bench", "store": "store", "workers": 1, "steps": steps}))
    if _deskloop("prepare", "-c", file, "-q")[0]:
        sys.exit("deskloop prepare failed")
    good, touched, seconds = 0, [], [0.0]
    chosen = _customers(records, erasures)
    with _busy(load):
        for number, theirs in enumerate(chosen):
            if number % 3 == 0:
                word = WORDS[number // 3 % len(WORDS)]
                touched += [word] * _touches(store, file, word)
            good += _erases(folder, store, file, theirs, ("id", "email", "phone")[number % 3], seconds)
            print(f"{number + 1} of {len(chosen)}: {good} good, {seconds[-1]:.0f} s", file=sys.stderr)
    return {
        "erasures": len(chosen),
        "good": good,
        "by_words": (len(chosen) + 2) // 3,
        "touched_by_words": len(touched),
        "seconds": round(max(seconds), 1),
        "load": load,
        "rows_left": len(_rows(store)),
    }


def _customers(records: Sequence[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    """Return the records of each customer who has an id, an e-mail and a phone, and did not opt out."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_id.setdefault(record["customer"]["id"], []).append(record)
    customers = [rows for _, rows in sorted(by_id.items())]
    full = [rows for rows in customers if rows[0]["customer"].get("email") and rows[0]["customer"].get("phone")]
    return [rows for rows in full if not any(row.get("no_training") for row in rows)][:count]


def _erases(
    folder: Path, store: Path, file: Path, theirs: Sequence[dict[str, Any]], kind: str, seconds: list[float]
) -> bool:
    """Erase a customer; return whether all their data is gone and all other rows are unchanged."""
    from tests.sweep import sweep

    before = _rows(store)
    began = time.monotonic()
    name = theirs[0]["customer"][kind]
    code, out = _deskloop("data", "erase", "-c", file, "--customer", name, "-y", "-q", "--json")
    seconds.append(time.monotonic() - began)
    if code:
        print(f"erasing by {kind} ended with exit code {code}", file=sys.stderr)
        return False
    gone = {match["conversation_id"] for match in json.loads(out)["matched"]}
    ids = [record["conversation_id"] for record in theirs]
    values = {f"id {at}": identifier for at, identifier in enumerate(ids)}
    findings = sweep(store, values | {"customer": theirs[0]["customer"]["id"]})
    others = {place: digest for place, digest in before.items() if place[1].partition("/")[0] not in gone}
    return not findings and _rows(store) == others and gone <= set(ids)


def _touches(store: Path, file: Path, word: str) -> bool:
    """Request an erasure by a word; return whether it changed a file or was not rejected."""
    before = _content(store)
    code, _ = _deskloop("data", "erase", "-c", file, "--customer", word, "-y", "-q", "--json")
    return code != 2 or _content(store) != before


def _content(store: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != ".lock"}


@contextmanager
def _busy(load: int) -> Iterator[None]:
    """Run `load` processes that keep the processors busy."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(load)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _deskloop(*arguments: object) -> tuple[int, str]:
    """Run a command; return its exit code and output."""
    command = [sys.executable, "-m", "deskloop", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.returncode, done.stdout


if __name__ == "__main__":
    main()

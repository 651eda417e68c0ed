"""Erase twenty customers, one after the other, beside a load, and try to erase by ordinary words.

    python -m benchmarks.erasures [--customers 120] [--erasures 20] [--load 12]

The log is generated, with records that cannot be read among the others; ingest and scrub run over it. Then so many
processes keep the processors busy while the commands run. Before every third erasure comes a request by an ordinary
word (`order`, `Monday`), which must be refused and touch nothing. Each erasure names a customer, by id, e-mail or phone
in turn; afterwards no file of the store may hold their id or one of their conversations' ids. The last line is one JSON
object. Keys: `erasures`, `good` (exit code 0, nothing of theirs found, everybody else's rows as before), `by_words`,
`touched_by_words` (commands after which any file of the store differs, or that were not refused), `seconds` (of the
slowest erasure), `load`, `rows_left`.
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
    parser.add_argument("--customers", type=int, default=120, help="customers in the log, at least")
    parser.add_argument("--erasures", type=int, default=20, help="requests that name a customer")
    parser.add_argument("--load", type=int, default=12, help="processes that keep the processors busy")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ |= {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        with TemporaryServer() as server:  # one for all commands, each of which would start its own
            server.wait()
            os.environ["PREFECT_API_URL"] = server.url
            print(json.dumps(measure(folder, options.customers, options.erasures, options.load)))


def measure(folder: Path, customers: int, erasures: int, load: int) -> dict[str, Any]:
    """Make a store, erase under load; returns the figures."""
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
        for number, own in enumerate(chosen):
            if number % 3 == 0:
                word = WORDS[number // 3 % len(WORDS)]
                touched += [word] * _touches(store, file, word)
            good += _erases(folder, store, file, own, ("id", "email", "phone")[number % 3], seconds)
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
    """The records of customers who have an id, an e-mail and a phone, and did not opt out."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for one in records:
        by_id.setdefault(one["customer"]["id"], []).append(one)
    full = [own for _, own in sorted(by_id.items()) if all(own[0]["customer"].get(name) for name in ("email", "phone"))]
    return [own for own in full if not any(one.get("no_training") for one in own)][:count]


def _erases(
    folder: Path, store: Path, file: Path, own: Sequence[dict[str, Any]], kind: str, seconds: list[float]
) -> bool:
    """Erase one customer; whether they are gone and everybody else is as before."""
    from tests.sweep import sweep

    before = _rows(store)
    began = time.monotonic()
    name = own[0]["customer"][kind]
    code, out = _deskloop("data", "erase", "-c", file, "--customer", name, "-y", "-q", "--json")
    seconds.append(time.monotonic() - began)
    if code:
        print(f"erasing by {kind} ended with exit code {code}", file=sys.stderr)
        return False
    gone = {one["conversation_id"] for one in json.loads(out)["matched"]}
    values = {f"id {at}": one["conversation_id"] for at, one in enumerate(own)} | {"customer": own[0]["customer"]["id"]}
    found = sweep(store, values)
    others = {place: one for place, one in before.items() if place[1].partition("/")[0] not in gone}
    return not found and _rows(store) == others and gone <= {one["conversation_id"] for one in own}


def _touches(store: Path, file: Path, word: str) -> bool:
    """Whether an erasure by a word changes any file, or is not refused."""
    before = _content(store)
    code, _ = _deskloop("data", "erase", "-c", file, "--customer", word, "-y", "-q", "--json")
    return code != 2 or _content(store) != before


def _content(store: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != ".lock"}


@contextmanager
def _busy(load: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(load)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _deskloop(*arguments: object) -> tuple[int, str]:
    """Exit code and what a command printed."""
    command = [sys.executable, "-m", "deskloop", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.returncode, done.stdout


if __name__ == "__main__":
    main()

"""Read mutated and hostile source files: each is read or rejected in bounded time and memory, without other errors.

    python -m benchmarks.mutations [--mutants 3600] [--seed 7] [--scale 1.0]

Small files of every format are truncated, flipped, doubled, shuffled and salted, then read by `ingest` (every tenth
also by `deskloop init`) in a child process. Seconds are CPU time, so that other work on the machine does not count; a
file that takes 30 seconds of wall time is a hang. `lost_records` counts files of lines in which some line did not
result in exactly one row or rejected row.
"""

import argparse
import gzip
import json
import os
import random
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.hostile_files import documents, sources
from benchmarks.watched import Child

SECONDS, MEGABYTES = 5.0, 1_000.0
ODD = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n\n", b'"', b'""', b"\\", b"\\ud800", b"{", b"}", b"[", b"]",
    b",",
    b"\t", b"\x1b[2J", "\u202e".encode(), b"\x85", b"NaN", b"1e999", b"-0", b"9" * 400, b"null", b"true", b"\xc3",
    b"\xed\xa0\x80", b"0000-00-00", b"10000-01-01T00:00:00Z", b'{"a":' * 50, b"[" * 2_000, b"'", b";", b"|", b"=1+1",
)  # fmt: skip
COUNTED = {
    "rows": "read", "refused": "refused", "foreign": "unexpected_exceptions", "hang": "hangs", "crash": "crashes"
}  # fmt: skip
Mutate = Callable[[random.Random, bytes], bytes]


def _turns(number: int) -> list[dict[str, Any]]:
    return [
        {"role": "customer", "text": f"Where is order {number}? It is late.", "at": "2024-03-01T10:00:00Z"},
        {"role": "agent", "text": "Let me see, a parcel \u2013 na\u00efve caf\u00e9.", "at": 1709287200 + number},
    ]


def _said(number: int, role: str, text: str, customer: str, agent: str) -> list[dict[str, str]]:
    return [{role: customer, text: "hi"}, {role: agent, text: str(number)}]


def _ticket(number: int) -> dict[str, Any]:
    return {
        "id": number, "requester_id": 900_000 + number, "subject": "Order", "via": {"channel": "web"},
        "created_at": "2024-03-01T10:00:00Z", "satisfaction_rating": {"score": "good"},
        "comments": [
            {"author_id": 900_000 + number, "plain_body": f"Where is {number}?", "public": True},
            {"author_id": 5, "plain_body": "On its way", "public": True},
        ],
    }  # fmt: skip


@cache
def fixtures() -> dict[str, bytes]:
    """Return name -> content of a small file of every format."""
    numbers = range(12)
    who = [
        {"id": 900_000 + n, "name": f"Name{n} Last", "email": f"n{n}@shop.example", "role": "end-user"} for n in numbers
    ]
    records: dict[str, list[dict[str, Any]]] = {
        "conversations": [
            {
                "conversation_id": f"c{n}",
                "turns": _turns(n),
                "intent": "late",
                "rating": 4.5,
                "customer": {"id": 70 + n},
            }
            for n in numbers
        ],
        "openai": [{"id": n, "messages": _said(n, "role", "content", "user", "assistant")} for n in numbers],
        "sharegpt": [{"id": n, "conversations": _said(n, "from", "value", "human", "gpt")} for n in numbers],
        "pairs": [{"id": f"p{n}", "instruction": f"Cancel {n}", "response": "Done."} for n in numbers],
        "context": [{"context": ["hi", "hello", f"order {n}"], "response": "sent"} for n in numbers],
        "zendesk": [_ticket(n) for n in numbers],
    }
    files: dict[str, bytes] = {}
    for name, rows in records.items():
        files[f"{name}.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        files[f"{name}.json"] = json.dumps(rows, indent=1).encode()
    files["page.json"] = json.dumps({"tickets": records["zendesk"], "users": who, "next_page": None}).encode()
    files["turns.csv"] = b"conversation_id,role,text,at\n" + b"".join(
        f'c{n},{turn["role"]},"{turn["text"]}",{turn["at"]}\n'.encode() for n in numbers for turn in _turns(n)
    )
    files["pairs.csv"] = b"id,customer,agent\n" + b"".join(f'{n},"one,\ntwo ""{n}""",sent\n'.encode() for n in numbers)
    files["pairs.tsv"] = files["pairs.csv"].replace(b",", b"\t")
    for name in ("conversations", "pairs", "zendesk"):
        sink = pa.BufferOutputStream()
        rows = [{**row, "turns": [{**turn, "at": str(turn["at"])} for turn in row["turns"]]} if "turns" in row else row
                for row in records[name]]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=5)
        files[f"{name}.parquet"] = sink.getvalue().to_pybytes()
    packed = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in files.items()}
    return files | packed


def _flip(draw: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 8, 64))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content))]


def _double(draw: random.Random, content: bytes) -> bytes:
    first, last = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return content[:last] + content[first:last] * draw.choice((1, 2, 50)) + content[last:]


def _salt(draw: random.Random, content: bytes) -> bytes:
    for _ in range(draw.choice((1, 3, 20))):
        at = draw.randrange(len(content) + 1)
        content = content[:at] + draw.choice(ODD) + content[at:]
    return content


def _swap(draw: random.Random, content: bytes) -> bytes:
    a, b, c, d = sorted(draw.randrange(len(content) + 1) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _head(draw: random.Random, content: bytes) -> bytes:
    """Replace the first or last bytes, where formats keep their headers."""
    size = draw.choice((1, 4, 8, 64))
    noise = draw.randbytes(size)
    return noise + content[size:] if draw.random() < 0.5 else content[:-size] + noise


def _drop(draw: random.Random, content: bytes) -> bytes:
    first, last = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return content[:first] + content[last:]


MUTATIONS: tuple[Mutate, ...] = (_flip, _cut, _double, _salt, _swap, _head, _drop)


def mutant(number: int, seed: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """Return (name, content) of a mutant, which depends on number and seed only."""
    draw = random.Random(f"{seed} {number}")
    name = sorted(files)[number % len(files)]
    content = files[name]
    inside = name.endswith(".gz") and draw.random() < 0.5  # else the archive itself is damaged
    content = gzip.decompress(content) if inside else content
    for _ in range(draw.choice((1, 1, 2))):
        content = draw.choice(MUTATIONS)(draw, content) if content else content
    return name, gzip.compress(content, 1, mtime=0) if inside else content


def lines_of(path: Path) -> int | None:
    """Return the number of records in a file of lines, None for other files and damaged archives."""
    if (
        not path.name.startswith(("conversations", "openai", "sharegpt", "pairs", "context"))
        or ".jsonl" not in path.name
    ):
        return None
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error):
        return None
    return sum(bool(line.strip()) for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"))


def main() -> None:
    """Read all files and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=3_600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="of the hostile files")
    options = parser.parse_args()
    tally: Counter[str] = Counter()
    worst = {"cpu_seconds": 0.0, "mb": 0.0}
    child = Child()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(options.mutants):
                _mutant(child, Path(folder), number, options.seed, tally, worst)
        with tempfile.TemporaryDirectory() as folder:
            _hostile(child, Path(folder), options.scale, tally, worst)
    finally:
        child.close()
    names = ("files", "read", "refused", "hangs", "crashes", "over_5s", "over_1gb", "unexpected_exceptions",
             "lost_records")  # fmt: skip
    print(json.dumps({name: tally[name] for name in names} | {f"most_{name}": most for name, most in worst.items()}))


def _mutant(child: Child, folder: Path, number: int, seed: int, tally: Counter[str], worst: dict[str, float]) -> None:
    name, content = mutant(number, seed, fixtures())
    path = folder / name
    path.write_bytes(content)
    # Most of a small mutant may be broken; the limit is lifted so that every record is counted.
    result = _note(child, {"kind": "ingest", "path": str(path), "options": {"max_misread": 1.0}}, number, tally, worst)
    expected = lines_of(path)
    if result["outcome"] == "rows" and expected is not None:
        records = result["kept"] + result["rejected"]
        if records != max(expected, 1) or result["distinct"] != records:
            tally["lost_records"] += 1
            print(f"{number} {name}: {expected} lines, {records} records, {result['distinct']} ids")
    if number % 10 == 0:
        _note(child, {"kind": "init", "path": str(path)}, number, tally, worst, count=False)
    path.unlink()


def _hostile(child: Child, folder: Path, scale: float, tally: Counter[str], worst: dict[str, float]) -> None:
    for label, path in sources(folder, scale).items():
        options = {"source": {"format": "huggingface"}} if label.startswith("a data set") else {}
        for kind in ("ingest", "init"):
            _note(child, {"kind": kind, "path": str(path), "options": options}, label, tally, worst, kind == "ingest")
    for label, (kind, path) in documents(folder).items():
        _note(child, {"kind": kind, "path": str(path)}, label, tally, worst)


def _note(
    child: Child,
    job: dict[str, Any],
    label: object,
    tally: Counter[str],
    worst: dict[str, float],
    count: bool = True,
) -> dict[str, Any]:
    """Read a file and count the outcome; print failures and exceeded limits."""
    result = child.read(job)
    tally["files"] += count
    outcome, cpu = result["outcome"], result.get("cpu", 0.0)
    tally[COUNTED[outcome]] += count or outcome not in ("rows", "refused")
    tally["over_5s"] += cpu > SECONDS
    tally["over_1gb"] += result["mb"] > MEGABYTES
    worst["cpu_seconds"], worst["mb"] = max(worst["cpu_seconds"], cpu), max(worst["mb"], result["mb"])
    if outcome not in ("rows", "refused") or cpu > SECONDS or result["mb"] > MEGABYTES:
        shown = {name: result.get(name) for name in ("outcome", "message", "cpu", "seconds", "mb")}
        print(f"{label} {job['kind']} {os.path.basename(job['path'])}: {json.dumps(shown)}", flush=True)
    return result


if __name__ == "__main__":
    main()

"""Source files that try to hang a reader, exhaust its memory or escape its folder."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TURNS = [{"role": "customer", "text": "hi"}, {"role": "agent", "text": "hello"}]
GOOD = json.dumps({"conversation_id": "a", "turns": TURNS}).encode() + b"\n"


def _write(path: Path, content: bytes, times: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(times):
            file.write(content)
    return path


def _packed(path: Path, opened: Callable[..., object], content: bytes, times: int, **options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened(path, "wb", **options) as file:  # type: ignore[attr-defined]
        for _ in range(times):
            file.write(content)
    return path


def _parquet(path: Path, columns: dict[str, object], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def _fifo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


def _link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def _repeated(text: str, times: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()).take(pa.array([0] * times, pa.int32())), [text])


def _nested(text: str, times: int) -> pa.Array:
    """Return `turns` with one turn each, all with the same text."""
    turn = pa.StructArray.from_arrays(
        [_repeated("customer", times).dictionary_decode(), _repeated(text, times).dictionary_decode()],
        ["role", "text"],
    )
    return pa.ListArray.from_arrays(pa.array(range(times + 1), pa.int32()), turn)


def sources(folder: Path, scale: float = 1.0) -> dict[str, Path]:
    """Write the files.

    Args:
        folder: an empty folder.
        scale: 1 for the sizes of the benchmark; less for smaller files.
    Returns:
        Name -> path of the source, a file or a folder that contains hostile files.
    """

    def size(number: int) -> int:
        return max(1, int(number * scale))

    million = b"\n" * 1_000_000
    outside = _write(folder / "outside" / "secret.jsonl", GOOD)
    files = {
        "a FIFO": _fifo(folder / "fifo.jsonl"),
        "a FIFO in a folder": _fifo(folder / "with-fifo" / "x.jsonl").parent,
        "a device": Path("/dev/zero"),
        "a link to a device": _link(folder / "zero.jsonl", Path("/dev/zero")),
        "a link to a device in a folder": _link(folder / "with-device" / "x.jsonl", Path("/dev/zero")).parent,
        "a link out of the folder": _link(folder / "with-link" / "x.jsonl", outside).parent,
        "a folder's link out of the folder": _link(folder / "with-folder" / "x", outside.parent).parent,
        "a dangling link in a folder": _link(folder / "dangling" / "x.jsonl", folder / "nothing").parent,
        "gzip of newlines": _packed(folder / "newlines.jsonl.gz", gzip.open, million, size(20), compresslevel=1),
        "gzip of newlines in CSV": _packed(folder / "newlines.csv.gz", gzip.open, million, size(20), compresslevel=1),
        "newlines": _write(folder / "newlines.jsonl", million, size(20)),
        "newlines in CSV": _write(folder / "newlines.csv", b"id,role,text\n" + million, size(20)),
        "newlines in a quote": _write(folder / "quoted.csv", b'id,role,text\n"' + million, size(20)),
        "gzip of zeros": _packed(folder / "zeros.jsonl.gz", gzip.open, bytes(1 << 20), size(2_000)),
        "bzip2 of zeros": _packed(folder / "zeros.jsonl.bz2", bz2.open, bytes(1 << 20), size(500)),
        "xz of zeros": _packed(folder / "zeros.jsonl.xz", lzma.open, bytes(1 << 20), size(500)),
        "xz of zeros in one document": _packed(folder / "zeros.json.xz", lzma.open, b"[" + bytes(1 << 20), size(500)),
        "a document of empty objects": _write(folder / "braces.json", b"{}," * 100_000, size(667)),
        "an array of empty objects": _array(folder / "objects.json", size(200)),
        "an array of empty lists": _array(folder / "lists.json", size(60), b"[],"),
        "lines of empty objects": _write(folder / "lines.jsonl", b"{}\n" * 100_000, size(60)),
        "lines that are no JSON": _write(folder / "no.jsonl", b"x\n" * 100_000, size(100)),
        "brackets": _write(folder / "brackets.json", b"[" * 1_000_000, size(60)),
        "brackets on a line": _write(folder / "brackets.jsonl", b"[" * 1_000_000 + b"\n", size(9)),
        "a record of many turns": _write(
            folder / "turns.jsonl", b'{"turns":[' + b'{"role":"user","text":"a"},' * size(350_000) + b"null]}\n"
        ),
        "30,000 columns in CSV": _write(
            folder / "wide.csv", ",".join(f"column{n}" for n in range(30_000)).encode() + b"\n" + b"," * 29_999 + b"\n"
        ),
        "a CSV header of 9 MB": _write(folder / "header.csv", b"a," * 4_500_000 + b"\n"),
        "a CSV row of 9 MB": _write(folder / "row.csv", b"id,role,text\n" + b"a," * 4_500_000 + b"\n"),
        "30,000 columns in Parquet": _parquet(folder / "wide.parquet", {f"c{n}": ["x"] for n in range(30_000)}),
        "nothing but nulls in Parquet": _parquet(
            folder / "nulls.parquet",
            {"instruction": pa.nulls(size(30_000_000), pa.string()), "response": pa.nulls(size(30_000_000))},
        ),
    }
    return files | _tables(folder, size)


def documents(folder: Path) -> dict[str, tuple[str, Path]]:
    """Write hostile YAML files; return name -> (`pipeline` or `recognizers`, path)."""
    ten = ", ".join
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{ten([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    merges = "a0: &a0 {x: 1}\n"
    merges += "".join(f"a{n}: &a{n} {{<<: [{ten([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30))
    contents = {
        "aliases of aliases": laughs.encode(), "merges of merges": merges.encode(),
        "an alias of itself": b"a: &a [*a]\n",
        "brackets in YAML": b"[" * 150_000, "dashes in YAML": b"- " * 75_000, "50 MB of YAML": b"- x\n" * 12_500_000,
    }  # fmt: skip
    files: dict[str, tuple[str, Path]] = {}
    for kind in ("pipeline", "recognizers"):
        place = folder / kind
        paths = {name: _write(place / f"{n}.yaml", content) for n, (name, content) in enumerate(contents.items())}
        paths |= {"a YAML FIFO": _fifo(place / "fifo.yaml"), "a YAML device": Path("/dev/zero")}
        files |= {f"{name} ({kind})": (kind, path) for name, path in paths.items()}
    return files


def _tables(folder: Path, size: Callable[[int], int]) -> dict[str, Path]:
    """Write Parquet files that expand enormously when they are read, one of them as a dataset."""
    three = size(3_000_000)
    say = {"response": _repeated("hello", three)}
    data = folder / "dataset" / "data"
    repeated = _parquet(folder / "repeated.parquet", {"instruction": _repeated("x" * 1_000, three)} | say)
    _write(data / "train.parquet", repeated.read_bytes())
    thousand = size(3_000)
    return {
        "a cell three million times": repeated,
        "a cell three million times, a row for each turn": _parquet(
            folder / "turns.parquet",
            {
                "id": pa.array(["1", "2"] * (three // 2)),
                "role": _repeated("customer", three // 2 * 2),
                "text": _repeated("x" * 100, three // 2 * 2),
            },
        ),
        "a cell of 1 MB three thousand times": _parquet(
            folder / "large.parquet",
            {"instruction": _repeated("x" * 1_000_000, thousand), "response": _repeated("hello", thousand)},
        ),
        "a cell in a list, three million times": _parquet(
            folder / "nested.parquet", {"turns": _nested("x" * 100, three)}, row_group_size=1 << 20
        ),
        "cells of 9 MB in one list, zstd": _parquet(
            folder / "list.parquet",
            {"turns": [[{"role": "customer", "text": "x" * 9_000_000}] * size(40)]},
            compression="zstd",
            use_dictionary=False,
        ),
        "a data set of one cell": data.parent,
    }


def _array(path: Path, megabytes: int, element: bytes = b"{},") -> Path:
    """Write a JSON array of the given size."""
    with path.open("wb") as file:
        file.write(b"[")
        for _ in range(megabytes):
            file.write(element * (1_000_000 // len(element)))
        file.write(b"{}]")
    return path

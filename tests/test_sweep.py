"""The sweep finds values in every container and spelling, and has no false positives."""

import bz2
import gzip
import html
import io
import json
import random
import sqlite3
import string
import tarfile
import zipfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from tests.sweep import sweep

NAME, CARD, MAIL, PIN = "Zoë O'Färber", "4929 1234 5678 9015", "zoe.faerber@example.ro", "80573"
VALUES = {"name": NAME, "card": CARD, "mail": MAIL, "pin": PIN}
TEXT = f"it is {NAME}, {CARD}, {MAIL}\n{PIN}\nthanks"
ALL = set(VALUES)


def found(folder: Path) -> set[str]:
    return {name for _, name in sweep(folder, VALUES)}


def write(folder: Path, content: bytes, name: str = "file") -> set[str]:
    (folder / name).write_bytes(content)
    return found(folder)


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("inner")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PLAIN: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "latin-1": lambda text: text.encode("latin-1"),
    "upper case": lambda text: text.upper().encode(),
    "lower case": lambda text: text.lower().encode(),
    "json": lambda text: json.dumps(text).encode(),
    "json, not ascii": lambda text: json.dumps(text, ensure_ascii=False).encode(),
    "json in json": lambda text: json.dumps(json.dumps(text)).encode(),
    "json in a page": lambda text: json.dumps(html.escape(text)).encode(),
    "html": lambda text: html.escape(text).encode(),
    "html, ascii": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace"),
    "link": lambda text: quote(text).encode(),
    "repr": lambda text: ascii(text).replace("\\\\n", "\\n").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "zstd": lambda text: zstd(text.encode()),
    "zip": lambda text: zipped(text.encode()),
    "tar.gz": lambda text: tarred(text.encode()),
    "gzip in zip": lambda text: zipped(gzip.compress(text.encode())),
    "a gzip cut short": lambda text: gzip.compress(text.encode() + random.Random(1).randbytes(9000))[:-2000],
    "a zstd frame in something else": lambda text: b"PAR1" + bytes(7) + zstd(text.encode() * 3),
}


@pytest.mark.parametrize("form", PLAIN)
def test_each_spelling_is_found(tmp_path: Path, form: str) -> None:
    assert write(tmp_path, PLAIN[form](TEXT)) == ALL
    assert write(tmp_path, PLAIN[form]("it is nobody, 4929 1234 5678 9016, noone@example.ro\n80574\nthanks")) == set()


TABLES = {
    "text": pa.table({"text": ["", None, TEXT]}),
    "large text": pa.table({"text": pa.array([TEXT], pa.large_string())}),
    "bytes": pa.table({"raw": [b"", TEXT.encode()]}),
    "packed bytes": pa.table({"raw": [gzip.compress(TEXT.encode())]}),
    "dictionary": pa.table({"text": pa.array([TEXT, TEXT]).dictionary_encode()}),
    "list": pa.table({"texts": [["x"], [TEXT, "y"]]}),
    "struct in list": pa.table({"turns": [[{"role": "customer", "text": TEXT}]]}),
    "map": pa.table({"known": pa.array([[("PERSON", [TEXT])]], pa.map_(pa.string(), pa.list_(pa.string())))}),
    "beside all other types": pa.table(
        {
            "a": pa.array([1.5], pa.float32()),
            "b": pa.array([None], pa.float64()),
            "c": pa.array([[None, 7]], pa.list_(pa.int8())),
            "d": pa.array([datetime(2026, 1, 1)]),
            "e": [True],
            "f": pa.nulls(1),
            "g": pa.array([Decimal("1.5")]),
            "h": pa.array([[b"12"]], pa.list_(pa.binary(2))),
            "text": [TEXT],
        }
    ),
    "key of a map": pa.table({"known": pa.array([[(TEXT, 1)]], pa.map_(pa.string(), pa.int64()))}),
}


@pytest.mark.parametrize("name", TABLES)
def test_parquet_is_decoded(tmp_path: Path, name: str) -> None:
    pq.write_table(TABLES[name], tmp_path / "part.parquet", compression="zstd", write_statistics=False)
    assert found(tmp_path) == ALL


@pytest.mark.parametrize("number", [pa.array([17, 4929123456789015]), pa.array([17.0, 4929123456789015.0])])
def test_numbers_of_a_table_are_found(tmp_path: Path, number: pa.Array) -> None:
    pq.write_table(pa.table({"account": number}), tmp_path / "part.parquet", compression="zstd", write_statistics=False)
    assert found(tmp_path) == {"card"}


@pytest.mark.parametrize("name", TABLES)
def test_arrow_is_decoded(tmp_path: Path, name: str) -> None:
    feather.write_feather(TABLES[name], str(tmp_path / "a.feather"), compression="zstd")
    assert found(tmp_path) == ALL
    (tmp_path / "a.feather").unlink()
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_stream(str(tmp_path / "stream.arrow"), TABLES[name].schema, options=options) as stream:
        stream.write_table(TABLES[name])
    assert found(tmp_path) == ALL


@pytest.mark.parametrize(
    "cell", [TEXT, TEXT.encode(), gzip.compress(TEXT.encode(), mtime=0), "." * 5000 + TEXT + "." * 9000]
)
def test_every_cell_of_a_database_is_found(tmp_path: Path, cell: str | bytes) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute('create table "a ""b" (id integer, content)')
        database.execute('insert into "a ""b" values (1, ?)', [cell])
    database.close()
    assert found(tmp_path) == ALL
    archive = zipped((tmp_path / "x.db").read_bytes())
    (tmp_path / "x.db").unlink()
    assert write(tmp_path, archive) == ALL


def test_values_in_the_write_ahead_log_only_are_found(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    file = tmp_path / "live" / "x.db"
    database = sqlite3.connect(file)
    database.execute("pragma journal_mode = wal")
    database.execute("create table t (content)")
    database.execute("insert into t values (?)", [gzip.compress(TEXT.encode())])
    database.commit()
    before = file.read_bytes()
    assert sweep(file.parent, VALUES, lambda path: path != file) == [(file, name) for name in sorted(ALL)]
    assert file.read_bytes() == before
    (tmp_path / "alone.db").write_bytes(before)
    assert sweep(tmp_path, VALUES, lambda path: path.name != "alone.db") == []
    database.close()


@pytest.mark.parametrize(
    "number", ["4929123456789015", "4929-1234-5678-9015", "49291234 56789015", "(4929) 1234.5678/9015"]
)
def test_separators_of_a_long_number_do_not_count(tmp_path: Path, number: str) -> None:
    assert write(tmp_path, f"ref 12 {number} 7".encode()) == {"card"}


def test_a_short_value_counts_as_a_word_only(tmp_path: Path) -> None:
    assert write(tmp_path, b"180573 805731 a80573 0.8057312") == set()
    assert write(tmp_path, json.dumps("pin\n80573").encode()) == {"pin"}
    assert write(tmp_path, "“80573”".encode()) == {"pin"}


def test_names_of_files_are_searched_and_skipped_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "x").write_text(TEXT)
    (tmp_path / MAIL).write_text("")
    assert sweep(tmp_path, VALUES, lambda path: "raw" in path.parts) == [(tmp_path / MAIL, "mail")]


def test_a_value_across_the_blocks_of_a_large_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.sweep.BLOCK", 64)
    for ahead in range(50, 70):
        assert write(tmp_path, b"." * ahead + TEXT.encode() + b"." * 200) == ALL


def test_too_short_values_are_rejected_without_quoting_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pin") as caught:
        sweep(tmp_path, {"pin": "805"})
    assert "805" not in str(caught.value)


def test_one_pass_for_many_values(tmp_path: Path) -> None:
    """500 values in 20 MB of binary and 4 MB of text: all found, nothing else, in seconds."""
    draw = random.Random(5)
    values = {
        f"v{at}": "".join(draw.choices(string.ascii_letters, k=8)) + " " + str(draw.random())[2:12] for at in range(500)
    }
    (tmp_path / "weights").write_bytes(np.random.default_rng(1).bytes(20_000_000))
    words = ["".join(draw.choices(string.ascii_lowercase, k=6)) for _ in range(3000)]
    text = " ".join(draw.choices(words, k=600_000))
    (tmp_path / "text").write_text(text)
    assert sweep(tmp_path, values) == []
    (tmp_path / "text").write_text(text + " ".join(values.values()))
    assert {name for _, name in sweep(tmp_path, values)} == set(values)

"""No text leaks through a crash, a temporary file or a cache."""

import gzip
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from deskloop.engine.crash import hush
from deskloop.engine.partitions import ProcessPool
from tests.flows.desk import Desk
from tests.sweep import sweep

HERE = Path(__file__).parents[3]
SECRET = "Quillon Ambrosewick"
BEGIN = f"from deskloop.engine.crash import hush\nhush()\nsecret = '{SECRET}'\n"


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    found = {**os.environ, "PYTHONPATH": str(HERE), **environment}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=found, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("crash", "message"),
    [
        (
            "import threading\nt = threading.Thread(target=int, args=(secret,))\nt.start()\nt.join()",
            "ValueError in a thread",
        ),
        ("class A:\n    def __del__(self): int(secret)\nA()", "ValueError in the clean-up of an object"),
        ("import faulthandler, os\nfaulthandler.enable()\nos.abort()", "Fatal Python error: Aborted"),
    ],
)
def test_a_crash_names_no_value(tmp_path: Path, crash: str, message: str) -> None:
    done = python(BEGIN + crash, tmp_path)
    assert message in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def test_with_debug_it_is_shown(tmp_path: Path) -> None:
    code = BEGIN + "import threading\nt = threading.Thread(target=int, args=(secret,))\nt.start()\nt.join()"
    assert SECRET in python(code, tmp_path, DESKLOOP_DEBUG="1").stderr


def limit(_: int) -> int:
    return resource.getrlimit(resource.RLIMIT_CORE)[0]


def test_workers_write_no_core_dump_either() -> None:
    hush()
    assert limit(0) == 0
    pool = ProcessPool(2)
    try:
        assert list(pool.map(limit, range(4))) == [0] * 4
    finally:
        pool.close()


def conversation(number: int) -> bytes:
    turns = [
        {"role": "customer", "text": f"hello, this is {SECRET}, parcel {number} has not come, it was number {number}"},
        {"role": "agent", "text": f"thank you, parcel {number} is on its way to you"},
    ]
    return json.dumps({"conversation_id": f"c{number}", "turns": turns, "customer": {"name": SECRET}}).encode()


def test_no_row_is_left_in_temporary_files_and_caches(tmp_path: Path) -> None:
    """A data set by Hugging Face's library, which keeps a cache, beside a plain log."""
    desk = Desk(tmp_path / "desk", [conversation(number) for number in range(30)])
    source = {"known": {"PERSON": ["customer.name"]}}
    data = tmp_path / "desk" / "rows"
    data.mkdir()
    (data / "train.jsonl.gz").write_bytes(gzip.compress(b"\n".join(conversation(number) for number in range(30, 60))))
    sources = [{"path": "log/*.jsonl", **source}, {"path": "rows", "format": "huggingface", **source}]
    desk.steps[0]["ingest"]["sources"] = sources
    desk.steps = desk.steps[:2]
    desk.save()
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(HERE)}
    environment |= {"XDG_CACHE_HOME": str(home / "cache"), "HF_HUB_OFFLINE": "1"}
    environment = {name: value for name, value in environment.items() if name not in ("HF_HOME", "HF_DATASETS_CACHE")}
    command = [sys.executable, "-m", "tests.flows.desk", str(desk.folder)]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert " 60 in " in done.stdout
    values = {"name": SECRET, "family name": SECRET.split()[1]}
    assert sweep(home, values) == sweep(temporary, values) == sweep(desk.folder / "store" / "clean", values) == []
    assert sweep(desk.folder / "store" / "raw", values) != []
    assert SECRET not in done.stdout + done.stderr

"""P10: killed anywhere and resumed, a pipeline ends with the digests of an undisturbed run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deskloop.store.catalog import Catalog
from deskloop.store.digest import table_digest
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw
from tests.flows.desk import Desk, example_lines

MODEL = {
    "finetune": {"max_steps": 12, "checkpoint_every": 2, "batch_tokens": 512},
    "evaluate": {"prompts": ["Where is my order?"], "max_new_tokens": 5},
}


def published(folder: Path) -> dict[str, str]:
    """Latest digest of every dataset; reads each published version and holds it against its record."""
    store, catalog = Store(folder / "store"), Catalog(folder / "store" / "catalog")
    for version in catalog.versions:
        if version.kind == "dataset":
            with allow_raw("test"):
                rows = store.read(version.zone, version.dataset, version.delta_version, ["row_id", "_hash"])
            assert rows.num_rows == version.rows, version.name
            assert table_digest(rows["_hash"]) == version.digest, version.name
    return {version.dataset: version.digest for version in sorted(catalog.versions, key=lambda one: one.version)}


def storm(command: Sequence[str], desk: Desk, kills: int, longest: float, expected: Mapping[str, str]) -> None:
    """Start, kill -9 after a random time, again and again, until it was killed often enough; then let it end.

    A run that ends before its moment must have come to the expected digests, and the next one starts from nothing.
    """
    moments, killed = random.Random(kills), 0
    while killed < kills:
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            assert process.wait(moments.uniform(0.1, 1.0) * longest) == 0
            assert published(desk.folder) == expected
            for part in ("raw", "clean", "catalog", "ledger", "models"):
                shutil.rmtree(desk.folder / "store" / part)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            published(desk.folder)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert published(desk.folder) == expected


def two_desks(folder: Path, count: int, workers: int) -> tuple[Desk, Desk]:
    """Two folders with the same log and the same key."""
    calm, stormy = (Desk(folder / name, example_lines(count), workers) for name in ("calm", "stormy"))
    Store(calm.folder / "store").prepare()
    shutil.copytree(calm.folder / "store" / "keys", stormy.folder / "store" / "keys")
    return calm, stormy


@pytest.mark.long  # tests/flows/test_ends.py kills one run in the quick tests
def test_three_kills_in_the_data_part(tmp_path: Path) -> None:
    calm, stormy = two_desks(tmp_path, 60, workers=1)
    stormy.save()
    calm.prepare()
    command = [sys.executable, "-m", "tests.flows.desk", str(stormy.folder)]
    storm(command, stormy, 3, 10.0, published(calm.folder))


@pytest.mark.long
def test_twenty_kills_of_the_whole_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm, stormy = two_desks(tmp_path, 120, workers=2)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    for desk in (calm, stormy):
        desk.extra = MODEL
        desk.save()
    deskloop = [sys.executable, "-m", "deskloop", "run", "-c"]
    subprocess.run([*deskloop, str(calm.file)], check=True, stdout=subprocess.DEVNULL)
    storm([*deskloop, str(stormy.file)], stormy, 20, 22.0, published(calm.folder))


@pytest.mark.long
def test_every_command_ends_well_when_it_is_killed() -> None:
    """A small storm over run, promote, rollback, erase, backup and restore; `benchmarks/kills.py` makes a large one."""
    command = [sys.executable, "-m", "benchmarks.kills", "--kills", "10", "--signals", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    for name, count in {"SIGKILL": 10, "SIGTERM": 2, "SIGHUP": 2}.items():
        assert figures[name]["failures"] == []
        assert (figures[name]["good_ends"], figures[name]["left_after_5_s"]) == (count, 0)
        assert figures[name]["slowest_end_s"] < 5

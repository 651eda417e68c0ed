"""P1, byte by byte: values planted into a log are found in no file outside of the raw zone, whatever went wrong.

The sweep decodes what is compressed, Parquet, SQLite and token ids, and knows each value in every spelling. A sweep
that finds nothing proves little by itself: the same sweep finds the values where nothing is scrubbed.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import tasks.scrub
from tests.deployments.house import PREFECT, ROOT, House, wait
from tests.flows.canaries import FORMS, SENTENCES, Log, planted_log
from tests.flows.desk import Desk
from tests.sweep import sweep

pytestmark = pytest.mark.filterwarnings("default")
MODEL = {
    "finetune": {"max_steps": 6, "batch_tokens": 1024, "checkpoint_every": 2},
    "evaluate": {"prompts": ["Where is my order?"], "max_new_tokens": 8},
    "promote": {},
}
STEPS_BETWEEN = [
    "annotate",
    "select",
    {"augment": {"target": 0.5, "max_copies": 2, "generators": [{"kind": "noise"}]}},
    {"balance": {"max_ratio": 6}},
]
# Runs the command with a scrub that raises on the first row it gets, quoting it as a foreign library would.
FAILING = """
import sys
from dataclasses import replace
import tasks.scrub

def scrub(conversations, config, context):
    return int(" ".join(turn["text"] for turns in conversations["turns"] for turn in turns))

tasks.scrub.STAGE = replace(tasks.scrub.STAGE, run=scrub)
from cli import main
sys.argv = ["deskloop", *sys.argv[1:]]
main()
"""


def desk_of(folder: Path, log: Log, between: bool) -> Desk:
    """A pipeline on the planted log that also takes the source's known names and the metadata."""
    desk = Desk(folder, log.lines)
    (source,) = desk.steps[0]["ingest"]["sources"]
    source["metadata"] = ["channel", "note"]
    at = desk.steps.index("split")
    desk.steps[at:at] = STEPS_BETWEEN if between else []
    desk.extra = MODEL
    desk.save()
    return desk


def outside(path: Path) -> bool:
    """What the sweep leaves out: the source's own log, and the raw zone of a store."""
    return "log" in path.parts or "raw" in path.parts


def decoded(desk: Desk) -> Iterator[str]:
    """The texts behind the token ids of every encoded row on disk."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(next((desk.folder / "store" / "models").rglob("tokenizer.json")).parent)
    for path in (desk.folder / "store" / "clean").rglob("*.parquet"):
        if "input_ids" in pq.read_schema(path).names:
            yield from (tokenizer.decode(ids) for ids in pq.read_table(path)["input_ids"].to_pylist())


def leaks(folder: Path, values: Mapping[str, str]) -> dict[str, list[str]]:
    """File -> the names of the values in it: type, form and number, never the value."""
    found: dict[str, list[str]] = {}
    for path, name in sweep(folder, values, outside):
        found.setdefault(str(path.relative_to(folder)), []).append(name)
    return found


@pytest.fixture(scope="module")
def log() -> Log:
    return planted_log(130)


def test_there_are_enough_values_of_enough_kinds(log: Log) -> None:
    kinds = Counter(name.split()[0] for name in log.values if not name.endswith("as written"))
    assert sum(kinds[entity] for entity in SENTENCES) >= 500
    assert len(SENTENCES) == 12
    assert min(kinds[entity] for entity in SENTENCES) >= 40
    assert {name.rpartition(" ")[0] for name in log.values} >= {
        f"{kind} {form}" for kind in SENTENCES for form in FORMS
    }
    assert kinds["known"] >= 20


@pytest.mark.long
def test_no_value_is_found_after_a_failure_a_crash_a_kill_and_a_whole_run(tmp_path: Path, log: Log) -> None:
    """Against a server of its own; database, logs, results, caches and temporary files lie in the swept folder."""
    house = House(tmp_path / "house" / "prefect")
    for name in ("home", "tmp", "prefect"):
        (tmp_path / "house" / name).mkdir(parents=True)
    house.environment = {name: value for name, value in house.environment.items() if not name.startswith("XDG_")} | {
        "HOME": str(tmp_path / "house" / "home"),
        "TMPDIR": str(tmp_path / "house" / "tmp"),
        "OMP_NUM_THREADS": "1",
    }
    desk = desk_of(tmp_path / "house" / "desk", log, between=True)
    try:
        house.start("server", *PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(house.port))
        wait("the server", house.healthy)
        all_of_it(house, desk, log)
    finally:
        house.end()
    assert leaks(tmp_path / "house", log.values) == {}


def all_of_it(house: House, desk: Desk, log: Log) -> None:
    """A failed expectation, an exception, a kill in scrub and one in training, then all to the end; swept each time."""
    command = [sys.executable, "-m", "deskloop"]
    store = desk.folder / "store"
    assert ended(house, desk, *command, "prepare", "--set", "normalize.min_turns=40") == 1
    assert leaks(house.home.parent, log.values) == {}
    assert ended(house, desk, sys.executable, "-c", FAILING, "prepare", "--rebuild") == 1
    assert leaks(house.home.parent, log.values) == {}
    killed(house, desk, [*command, "prepare", "--rebuild"], store / "clean" / ".staging" / "scrub")
    assert leaks(house.home.parent, log.values) == {}
    killed(house, desk, [*command, "run"], *(store / "models" / "finetune", store / "models"))
    assert leaks(house.home.parent, log.values) == {}
    assert ended(house, desk, *command, "run") == 0
    states = Counter(run["state_type"] for run in house.flow_runs())
    assert states["FAILED"] == 2
    assert states["COMPLETED"] == 1
    assert sum(states.values()) == 5
    whole(desk)
    (desk.folder / "decoded.txt").write_text("\n".join(decoded(desk)))


def ended(house: House, desk: Desk, *command: str) -> int:
    """The exit code of a command on the desk; what it prints is kept in the swept folder."""
    with (house.home.parent / "printed.log").open("ab") as printed:
        return subprocess.run(
            [*command, "-c", str(desk.file)],
            cwd=ROOT,
            env=house.environment,
            stdout=printed,
            stderr=printed,
            timeout=600,
        ).returncode


def killed(house: House, desk: Desk, command: list[str], *signs: Path) -> None:
    """Start a command and kill it, and all that it started, as soon as one of the signs is on disk and young."""
    began = {sign: sign.stat().st_mtime_ns if sign.exists() else 0 for sign in signs}
    with (house.home.parent / "printed.log").open("ab") as printed:
        process = subprocess.Popen(
            [*command, "-c", str(desk.file)], cwd=ROOT, env=house.environment, stdout=printed, stderr=printed,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait(
            "the moment to kill",
            lambda: process.poll() is not None or any(s.exists() and s.stat().st_mtime_ns > began[s] for s in signs),
            seconds=300,
        )
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def whole(desk: Desk) -> dict[str, Any]:
    """Return the document of the last run, which must be complete with most of the conversations."""
    page = max((desk.folder / "store" / "reports").glob("*/run.json"))
    document: dict[str, Any] = json.loads(page.read_text())
    assert document["status"] == "completed"
    assert document["decision"]["gates"]
    assert (page.parent / "index.html").exists()
    assert document["steps"]["encode"]["rows_out"] > 80
    return document


def test_no_value_is_found_after_a_run(tmp_path: Path, prefect: Path, log: Log) -> None:
    """The same in this process, with a failed expectation."""
    from deskloop.contract.errors import DeskloopError
    from flows.retrain import retrain

    desk = desk_of(tmp_path / "desk", log, between=False)
    with pytest.raises(DeskloopError, match="critical expectation"):
        retrain(str(desk.file), overrides=["normalize.min_turns=40"])
    retrain(str(desk.file))
    whole(desk)
    (desk.folder / "decoded.txt").write_text("\n".join(decoded(desk)))
    assert leaks(tmp_path, log.values) == {}
    assert leaks(prefect, log.values) == {}


def identity(conversations: pd.DataFrame, config: Any, context: Any) -> pd.DataFrame:
    """A scrub that does not."""
    bare = conversations.drop(columns="known", errors="ignore")
    nothing: list[Any] = [None] * len(bare)
    no_entities: list[Any] = [[] for _ in nothing]
    return bare.assign(
        language="en",
        entities=pd.Series(no_entities, index=bare.index),
        reject=pd.Series(nothing, dtype=object, index=bare.index),
    )


def test_the_sweep_finds_the_values_where_nothing_is_scrubbed(
    tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    broken = replace(tasks.scrub.STAGE, run=identity)
    monkeypatch.setattr(tasks.scrub, "STAGE", broken)
    tasks.stages.cache_clear()
    request.addfinalizer(tasks.stages.cache_clear)
    desk = desk_of(tmp_path / "desk", log, between=False)
    desk.prepare("scrub.min_recall=0.0")
    found = {name.removesuffix(" as written") for names in leaks(tmp_path, log.values).values() for name in names}
    spoken = {name for name in log.values if name.split()[0] in SENTENCES and not name.endswith("as written")}
    assert len(spoken) == 520
    assert len(found & spoken) > 0.95 * len(spoken)  # a few conversations are rejected further on, for other reasons
    assert {name for name in log.values if name.startswith("metadata")} <= found

"""P1: access to the raw zone, observed by an audit hook in every process and by removing the zone."""

import ast
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main
from deskloop.audit.trace import trace
from deskloop.contract.errors import ConfigError, DamageError, ZoneError
from deskloop.pipeline.load import load_pipeline
from deskloop.report.write import conclude
from deskloop.run.session import open_run, run_step
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw, check, raw_is_open
from tasks import stages
from tests.flows.desk import Desk, example_lines, table, versions

HERE = Path(__file__).parents[3]
ALLOWED = {
    "deskloop/store/zones.py",
    "deskloop/backup/restore.py",
    "deskloop/backup/create.py",
    "deskloop/engine/retention.py",
    "deskloop/audit/trace.py",
    "deskloop/audit/verify.py",
    "deskloop/erase/stores.py",
    "flows/erase.py",
}
# Imported by Python itself in every process that starts, the workers included.
WATCH = """
import os, sys
RAW, LOG = os.environ["WATCHED"], os.environ["WATCH_LOG"]
EVENTS = {"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link",
          "os.symlink", "sqlite3.connect", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.rmtree",
          "subprocess.Popen"}
def watch(event, arguments):
    if event not in EVENTS:
        return
    for value in arguments:
        for path in value if isinstance(value, (list, tuple)) else [value]:
            path = os.fsdecode(path) if isinstance(path, (bytes, str, os.PathLike)) else ""
            if path == RAW or path.startswith(RAW + os.sep):
                zones = sys.modules.get("deskloop.store.zones")
                allowed = zones is not None and zones.raw_is_open()
                with os.fdopen(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "w") as log:
                    log.write(f"{'allowed' if allowed else 'refused'} {event} {path}\\n")
                if not allowed:
                    raise PermissionError(f"{event} in the raw zone")
sys.addaudithook(watch)
"""
EVERYTHING = """
import sys
from pathlib import Path
from cli import main
from deskloop.report.write import conclude
from tests.flows.desk import Desk
import tests.flows.desk as desk_module

folder = Path(sys.argv[1])
desk = Desk.__new__(Desk)
desk.folder, desk.workers, desk.extra = folder, 2, {}
desk.steps = __import__("json").loads(__import__("json").dumps(desk_module.STEPS))

def deskloop(*arguments):
    try:
        main([*arguments, "-c", str(desk.file)])
    except SystemExit as end:
        assert not end.code, (arguments, end.code)

if __name__ == "__main__":
    conclude(desk.prepare())
    deskloop("plan")
    deskloop("data", "log")
    deskloop("data", "show", "scrubbed")
    deskloop("data", "diff", "scrubbed@1", "normalized@1")
    deskloop("data", "trace", sys.argv[2])
    deskloop("data", "backup", str(folder / "copy"), "--with", "clean", "-q")
    deskloop("data", "restore", str(folder / "copy"), "--replace", "-y", "-q")
    conclude(desk.prepare("normalize.min_turns=3"))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A store in which every step has run, under a umask that forbids nothing."""
    made = Desk(tmp_path_factory.mktemp("desk"), example_lines(80))
    made.steps[2] = {"normalize": {"min_turns": 2, "max_chars": 600}}
    before = os.umask(0)
    try:
        made.run = made.prepare()  # type: ignore[attr-defined]
        yield made
    finally:
        os.umask(before)


def watched(tmp_path: Path, raw: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run Python with the hook in it and its workers; return the accesses to the raw zone."""
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    paths = os.pathsep.join([str(tmp_path / "site"), str(HERE)])
    log = tmp_path / "seen"
    environment = {**os.environ, "PYTHONPATH": paths, "WATCHED": str(raw), "WATCH_LOG": str(log)}
    environment["DESKLOOP_BACKUP_PASSPHRASE"] = "correct horse"
    done = subprocess.run([sys.executable, *command], env=environment, cwd=HERE, capture_output=True, text=True)
    return done, log.read_text().splitlines() if log.exists() else []


def test_nothing_but_ingest_and_scrub_opens_raw(tmp_path: Path, desk: Desk) -> None:
    own = Desk(tmp_path / "desk", example_lines(50), workers=2)
    row_id = table(desk.run, "scrubbed")["row_id"][0].as_py()  # type: ignore[attr-defined]
    script = tmp_path / "everything.py"
    script.write_text(EVERYTHING)
    done, seen = watched(tmp_path, own.folder / "store" / "raw", str(script), str(own.folder), row_id)
    assert done.returncode == 0, done.stderr
    assert [line for line in seen if not line.startswith("allowed ")] == []
    assert len(seen) > 2, "the hook has seen no access at all: it is not active"


def test_the_hook_sees_unpermitted_access(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "ingested").mkdir(parents=True)
    for code in ("open('{}/x', 'w')", "__import__('os').listdir('{}')", "__import__('sqlite3').connect('{}/db')"):
        done, seen = watched(tmp_path, raw, "-c", code.format(raw))
        assert (done.returncode, len(seen)) == (1, 1)
        assert seen[0].startswith("refused ")
        (tmp_path / "seen").unlink()
    code = f"from deskloop.store.zones import allow_raw\nwith allow_raw('test'): open('{raw}/x', 'w').close()"
    done, seen = watched(tmp_path, raw, "-c", code)
    assert (done.returncode, [line.split()[0] for line in seen]) == (0, ["allowed"])


def test_after_scrub_the_raw_zone_is_not_needed(tmp_path: Path) -> None:
    """Compiled code opens Delta tables without triggering the hook, so the zone is removed."""
    desk = Desk(tmp_path, example_lines(60))
    desk.prepare()
    raw = tmp_path / "store" / "raw"
    raw.rename(tmp_path / "elsewhere")
    pipeline = load_pipeline(desk.file, stages(), ["normalize.min_turns=3"])
    with open_run(pipeline, lambda line: None) as run:
        for step in pipeline.steps[2:]:
            run_step(run, step)
    assert next(iter(run.entries.values())).decision.action == "compute"
    conclude(run)
    assert list(raw.iterdir()) == []
    with pytest.raises(DamageError, match="raw/ingested is damaged: the whole table is missing"):
        desk.prepare("scrub.threshold=0.7")


def test_a_store_refuses_raw_outside_of_an_allowed_block(desk: Desk) -> None:
    store, version = Store(desk.folder / "store"), versions(desk.run)["ingested"]  # type: ignore[attr-defined]
    calls = [
        lambda: store.read("raw", "ingested", version.delta_version),
        lambda: next(store.batches("raw", "ingested", version.delta_version)),
        lambda: store.rows("raw", "ingested", version.delta_version, ["x"]),
        lambda: store.schema("raw", "ingested", version.delta_version),
        lambda: store.changes("raw", "ingested", 0, version.delta_version),
        lambda: store.delta_version("raw", "ingested"),
        lambda: store.create("raw", "other", version and __import__("pyarrow").schema([])),
        lambda: store.append_parts("raw", "ingested", []),
        lambda: store.merge("raw", "ingested", [], None),
    ]
    for call in calls:
        with pytest.raises(ZoneError, match="which only ingest, scrub, erase, retention"):
            call()
    with allow_raw("test"):
        assert calls[0]().num_rows == version.rows
    assert not raw_is_open()
    check("clean", "scrubbed")


def test_the_permission_ends_with_an_error() -> None:
    with pytest.raises(KeyError), allow_raw("test"):
        raise KeyError
    assert not raw_is_open()


def test_only_these_files_of_the_code_open_the_raw_zone() -> None:
    found = set()
    packages = ("deskloop", "tasks", "flows", "expectations", "deployments")
    for path in [path for package in packages for path in (HERE / package).rglob("*.py")]:
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if "allow_raw" in names | attributes:
            found.add(str(path.relative_to(HERE)))
    assert found <= ALLOWED


def test_raw_keys_and_memo_are_for_their_owner_whatever_the_umask(desk: Desk) -> None:
    def modes(folder: Path) -> set[str]:
        return {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if path.is_file()}

    store = desk.folder / "store"
    (store / "memo" / "step.sqlite").touch(0o644)
    assert [oct(stat.S_IMODE((store / name).stat().st_mode)) for name in ("raw", "keys", "memo")] == ["0o700"] * 3
    assert modes(store / "raw") == modes(store / "keys") == {"0o600"}
    for name in ("raw", "keys", "memo"):
        (store / name).chmod(0o755)
    (store / "keys" / "hmac.json").chmod(0o644)
    Store(store).prepare()
    assert [oct(stat.S_IMODE((store / name).stat().st_mode)) for name in ("raw", "keys", "memo")] == ["0o700"] * 3
    assert modes(store / "keys") == modes(store / "memo") == {"0o600"}
    assert Store(store).staging("raw").is_relative_to(store / "raw")


def test_an_example_is_followed_back_in_clean_text(desk: Desk) -> None:
    run = desk.run  # type: ignore[attr-defined]
    row = table(run, "train_encoded").slice(0, 1).to_pylist()[0]
    stops = trace(run.pipeline, run.store, row["row_id"])
    assert [stop.step for stop in stops] == ["encode", "split", "dedupe", "normalize", "scrub", "ingest"]
    assert stops[0].happened.startswith(
        f"{len(row['input_ids']):,} tokens, {row['supervised_tokens']:,} of them supervised"
    )
    assert stops[-1].happened == "in the raw zone; --raw shows it and records the access"
    assert [stop.row for stop in stops if stop.zone == "raw"] == [{}]
    scrubbed = next(one for one in table(run, "scrubbed").to_pylist() if one["row_id"] == stops[4].row_id)
    assert [turn["text"] for turn in stops[4].row["turns"]] == [turn["text"] for turn in scrubbed["turns"]]
    assert not (run.store.root / "ledger" / "access.jsonl").exists()


def test_a_reject_is_followed_back_too(desk: Desk) -> None:
    run = desk.run  # type: ignore[attr-defined]
    rejects = versions(run)["normalized"].rejects_version
    row_id = run.store.read("clean", "normalize.rejects", rejects)["row_id"][0].as_py()
    stops = trace(run.pipeline, run.store, row_id)
    assert [stop.step for stop in stops] == ["normalize", "scrub", "ingest"]
    assert stops[0].happened.startswith("rejected: ")


def test_access_to_a_raw_row_is_recorded(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    run = desk.run  # type: ignore[attr-defined]
    raw = next(one for one in table(run, "ingested").to_pylist() if dict(one["known"]).get("PERSON"))
    with pytest.raises(SystemExit) as end:
        main(["data", "trace", raw["row_id"], "--raw", "--json", "-c", str(desk.file)])
    assert not end.value.code
    shown = json.loads(capsys.readouterr().out)
    assert shown[-1]["happened"] == "as it was read"
    assert shown[-1]["row"]["known"] == dict(raw["known"])
    access = run.store.root / "ledger" / "access.jsonl"
    (line,) = [json.loads(line) for line in access.read_text().splitlines()]
    assert (sorted(line), line["row_id"]) == (["at", "row_id", "user"], raw["row_id"])
    assert stat.S_IMODE(access.stat().st_mode) == 0o600
    access.unlink()


def test_a_row_that_is_not_there_is_refused(desk: Desk) -> None:
    run = desk.run  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="no published version has a row 'dana@harbor'; if it is new, --raw searches"):
        trace(run.pipeline, run.store, "dana@harbor")
    with pytest.raises(ConfigError, match="no published version has a row"):
        trace(run.pipeline, run.store, "dana@harbor", raw=True)
    access = run.store.root / "ledger" / "access.jsonl"
    assert json.loads(access.read_text())["row_id"] is None
    access.unlink()


@pytest.mark.parametrize("command", [("show", "ingested"), ("diff", "ingested@1", "scrubbed@1")])
def test_raw_versions_are_not_shown(desk: Desk, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["data", *command, "-c", str(desk.file)])
    output = capsys.readouterr()
    assert (end.value.code, output.out) == (2, "")
    assert "ingested@1 is in the raw zone and holds personal data" in output.err
    assert "deskloop data trace ROW_ID --raw" in output.err

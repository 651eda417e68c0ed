"""A backup restores exactly the store that was backed up, or leaves the existing store unchanged."""

import io
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

import tasks
from deskloop.backup import create
from deskloop.backup.contents import ALWAYS, part_of, parts_of
from deskloop.backup.create import backup
from deskloop.backup.restore import restore
from deskloop.backup.sealed import Lock, opening, sealing
from deskloop.contract.errors import ConfigError, DataError
from deskloop.store import replacement as place
from deskloop.store.memo import Memo
from deskloop.store.store import Store
from tests.cli.test_cli import Call, deskloop
from tests.deskloop.erase.test_erase import end, hashes, start, whom
from tests.deskloop.toy import STAGES, Toy, digests, suites
from tests.flows.desk import Desk, actions, example_lines, versions
from tests.sweep import sweep

__all__ = ["deskloop"]
IDENTITY = x25519.Identity.generate()
TO, FROM = Lock(keys=str(IDENTITY.to_public())), Lock(keys=str(IDENTITY))
LOG = {"a": "one", "bb": "two!", "ccc": "three", "dddd": "four", "e": "broken"}


@pytest.fixture(scope="module")
def store_with_everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy's folder whose store has files of every part."""
    made = Toy(tmp_path_factory.mktemp("toy"))
    made.write(LOG)
    with pytest.MonkeyPatch.context() as patched:
        suites(patched)
        made.run()
    root = made.folder / "store"
    with Store(root).locked():  # which notes the key's check value
        pass
    with Memo(str(root / "memo" / "copy.sqlite")) as memo:
        memo.remember("m", {("one", 1): "two"})
    (root / "models" / "toy" / "f1").mkdir(parents=True)
    (root / "models" / "toy" / "f1" / "model.safetensors").write_bytes(os.urandom(300_000))
    (root / "models" / ".work").mkdir()
    (root / "models" / ".work" / "state").write_bytes(b"state")
    (root / "reports" / "run").mkdir()
    (root / "reports" / "run" / "index.html").write_text("<p>")
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        database.execute("create table aliases (name)")
        database.execute("insert into aliases values ('champion')")
        database.commit()
    return made.folder


@pytest.fixture
def toy(store_with_everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    monkeypatch.setattr(tasks, "stages", lambda: STAGES)
    shutil.copytree(store_with_everything, tmp_path / "toy")
    return Toy(tmp_path / "toy")


def root_of(toy: Toy) -> Path:
    return toy.folder / "store"


def save(toy: Toy, target: Path, *wanted: str, lock: Lock = TO, **options: Any) -> dict[str, Any]:
    store = Store(root_of(toy))
    with store.locked():
        return backup(store, target, lock, parts_of(wanted), **options)


def back(root: Path, source: Path, lock: Lock = FROM, **options: Any) -> dict[str, Any]:
    with source.open("rb") as file:
        return restore(root, file, lock, **options)


def content(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file with its mode, except locks and checkpoints, which a backup leaves out."""
    return {
        path.relative_to(root).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock" and ".work" not in path.parts
    }


def test_with_everything_the_restored_store_is_the_same_and_reuses_every_step(toy: Toy, tmp_path: Path) -> None:
    root, target = root_of(toy), tmp_path / "copy.backup"
    before = content(root)
    done = save(toy, target, "all")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sum(one["files"] for one in done["parts"].values()) == len(before)
    assert done["bytes"] == target.stat().st_size
    shutil.rmtree(root)
    found = back(root, target)
    after = content(root)
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("select name from aliases").fetchall() == [("champion",)]
    del before["mlflow.db"], after["mlflow.db"]  # SQLite copies pages, not bytes
    assert after == before
    assert (found["files"], found["erasures"], found["key_id"]) == (len(before) + 1, 0, Store(root).key()[0])
    assert {action for action, _ in toy.run().values()} == {"reuse"}


def test_by_default_it_holds_what_cannot_be_derived_and_the_rest_is_rebuilt(toy: Toy, tmp_path: Path) -> None:
    root, target = root_of(toy), tmp_path / "copy.backup"
    before, made = content(root), digests(toy.run())
    assert set(save(toy, target)["parts"]) == set(ALWAYS)
    shutil.rmtree(root)
    back(root, target)
    assert {name.split("/")[0] for name in content(root)} == set(ALWAYS)
    assert content(root).items() <= before.items()
    again = toy.run()
    assert digests(again) == made
    assert {action for action, _ in again.values()} == {"compute"}
    assert {action for action, _ in toy.run().values()} == {"reuse"}


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        ((), ALWAYS),
        (("clean",), (*ALWAYS, "clean")),
        (("registry",), (*ALWAYS, "clean", "models", "registry")),
        (("reports", "models"), (*ALWAYS, "clean", "models", "reports")),
        (("all",), (*ALWAYS, "clean", "models", "registry", "reports")),
    ],
)
def test_a_part_includes_the_parts_that_it_depends_on(wanted: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert parts_of(wanted) == parts


def test_only_the_recipients_key_decrypts_a_backup(tmp_path: Path) -> None:
    file = io.BytesIO()
    with sealing(file, TO) as stream:
        for _ in range(50):
            stream.write(b"x" * 10_000)
    assert b"xxxx" not in file.getvalue()
    file.seek(0)
    with opening(file, FROM) as stream:
        assert stream.read() == b"x" * 500_000


def test_another_key_does_not_open_it(toy: Toy, tmp_path: Path) -> None:
    root, target = root_of(toy), tmp_path / "copy.backup"
    save(toy, target)
    stranger = Lock(keys=str(x25519.Identity.generate()))
    with pytest.raises(ConfigError, match="cannot be decrypted with this key"):
        back(tmp_path / "new", target, stranger)
    with pytest.raises(ConfigError, match="add --identity"):
        back(tmp_path / "new", target, Lock("pass"))
    assert not (tmp_path / "new").exists()
    assert root.exists()


def test_any_damage_is_detected_and_the_store_is_unchanged(toy: Toy, tmp_path: Path) -> None:
    target, new = tmp_path / "copy.backup", tmp_path / "new"
    save(toy, target, "models")
    whole = target.read_bytes()
    assert len(whole) > 300_000
    damages = [whole[:cut] for cut in (0, 10, 40, 300, len(whole) // 2, len(whole) - 1)]
    damages += [
        whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        for at in (0, 20, 60, 150, 400, len(whole) // 2, len(whole) - 20)
    ]
    damages += [whole + b"x", whole[:70_000] + whole[140_000:], b"{}"]
    for damaged in damages:
        target.write_bytes(damaged)
        with pytest.raises((ConfigError, DataError)) as refused:
            back(new, target)
        assert not new.exists()
        assert not place.restoring(new).exists()
        assert str(refused.value)
    target.write_bytes(whole)
    back(new, target)


@pytest.mark.parametrize(
    "names", [["store/../../evil"], ["/etc/evil"], ["store/raw/../../x"], ["store/elsewhere/x"], ["store/raw/a"] * 2]
)
def test_an_archive_stays_inside_the_store(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone with the public key can create a backup, so its contents are not trusted."""
    import tarfile

    target = tmp_path / "evil.backup"
    with target.open("w+b") as file, sealing(file, TO) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        create._add(tar, create.HEAD, json.dumps({"format": 1, "parts": ["raw"]}).encode())
        for name in names:
            create._add(tar, name, b"x")
        create._add(tar, create.MANIFEST, b'{"files": {}}')
    with pytest.raises(DataError, match="damaged"):
        back(tmp_path / "new", target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.backup"]
    assert part_of("raw/ingested/part.parquet") == "raw"
    assert [part_of(name) for name in ("raw", "mlflow.db/x/..", "raw//x", "", ".", "raw/..")] == [None] * 6


def test_an_existing_store_is_replaced_only_on_request(toy: Toy, tmp_path: Path) -> None:
    root, target = root_of(toy), tmp_path / "copy.backup"
    save(toy, target, "all")
    toy.write({**LOG, "f": "five"})
    toy.run()
    later = content(root)
    with pytest.raises(ConfigError, match=r"there is a store at .*add --replace"):
        back(root, target)
    assert back(root, target, dry_run=True)["erasures"] == 0
    assert content(root) == later
    with Store(root).locked(), pytest.raises(ConfigError, match="another run is working"):
        back(root, target, replace=True)
    back(root, target, replace=True)
    assert content(root) != later
    assert sorted(path.name for path in root.parent.glob(".*")) == []
    toy.write(LOG)
    assert {action for action, _ in toy.run().values()} == {"reuse"}


def test_a_backup_replaces_no_file_and_lies_outside_of_the_store(toy: Toy, tmp_path: Path) -> None:
    target = tmp_path / "copy.backup"
    target.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="already exists"):
        save(toy, target)
    with pytest.raises(ConfigError, match="is inside the store"):
        save(toy, root_of(toy) / "copy.backup")
    (root_of(toy) / "raw" / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        save(toy, target, overwrite=True)
    (root_of(toy) / "raw" / "link").unlink()
    assert target.read_bytes() == b"precious"
    save(toy, target, overwrite=True)
    assert target.read_bytes() != b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.backup", "toy"]


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("at", ["sync", "rename", "rmtree", "put"])
def test_a_restore_killed_anywhere_leaves_one_store_whole(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, exchange: bool
) -> None:
    root, target = root_of(toy), tmp_path / "copy.backup"
    (root / "mlflow.db").unlink()
    save(toy, target, "all")
    saved = content(root)
    toy.write({**LOG, "f": "five"})
    toy.run()
    later = content(root)
    with monkeypatch.context() as patched:
        owners: dict[str, Any] = {"sync": os, "rename": Path, "rmtree": shutil, "put": place}

        def killed(*arguments: Any, **options: Any) -> Any:
            os._exit(9)

        if not exchange:
            patched.setattr(place, "_exchange", lambda one, other: False)
        patched.setattr(owners[at], at, killed)
        pid = os.fork()
        if pid == 0:
            back(root, target, replace=True)
            os._exit(0)
        os.waitpid(pid, 0)
    place.remove_leftovers(root)
    assert content(root) in (saved, later)
    assert sorted(path.name for path in root.parent.glob(".*")) == []
    back(root, target, replace=True)
    assert content(root) == saved


def test_killed_while_it_is_written_no_backup_is_there(toy: Toy, tmp_path: Path) -> None:
    root = root_of(toy)
    (root / "models" / "toy" / "f1" / "model.safetensors").write_bytes(os.urandom(40_000_000))
    target = tmp_path / "copy.backup"
    code = (
        "import sys\nfrom pathlib import Path\nfrom deskloop.backup.contents import parts_of\n"
        "from deskloop.backup.sealed import Lock\nfrom deskloop.backup.create import backup\n"
        "from deskloop.store.store import Store\nstore = Store(Path(sys.argv[1]))\nprint('go', flush=True)\n"
        "with store.locked():\n"
        "    backup(store, Path(sys.argv[2]), Lock(keys=sys.argv[3]), parts_of(['all']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root), str(target), TO.keys],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    partial = tmp_path / ".copy.backup.partial"
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size > 1_000_000) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    if process.returncode == -signal.SIGKILL:
        assert not target.exists()
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        assert sweep(tmp_path, {"raw": "three"}, lambda path: path.is_relative_to(toy.folder)) == []
    save(toy, target, "all", overwrite=True)
    assert not partial.exists()
    back(tmp_path / "new", target)


COUNT = 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("desk") / "desk", example_lines(COUNT))
    desk.steps = desk.steps[:2]
    desk.prepare()
    return desk.folder


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("wanted", [(), ("clean",)])
def test_who_was_erased_since_the_backup_does_not_come_back(
    prepared: Path, tmp_path: Path, rotated: bool, wanted: tuple[str, ...]
) -> None:
    shutil.copytree(prepared / "store", tmp_path / "desk" / "store")
    desk = Desk(tmp_path / "desk", example_lines(COUNT))
    desk.steps = desk.steps[:2]
    desk.save()
    store, target = Store(desk.folder / "store"), tmp_path / "copy.backup"
    with store.locked():
        backup(store, target, TO, parts_of(wanted))
        if rotated:
            store.rotate_key()
    customer, own = whom(example_lines(COUNT))
    values = {str(at): one["customer"]["id"] for at, one in enumerate(own)}
    start(desk, customer)
    end(desk)
    found = back(store.root, target, replace=True)
    assert found["erasures"] == 1
    assert sweep(store.root, values) == []
    assert sorted(path.name for path in store.root.parent.glob(".*")) == []
    run = desk.prepare()
    if wanted:
        assert set(actions(run).values()) == {"reuse"}
    else:
        assert versions(run)["ingested"].reasons["erased"] == len(own)
    assert sweep(store.root, values) == []
    ids = {one["conversation_id"] for one in own}
    assert not {row_id for _, row_id in hashes(store.root)} & ids
    assert start(desk, customer)["status"] == "already_erased"


def test_the_commands(toy: Toy, tmp_path: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    config, target = ("-c", toy.folder / "pipeline.yaml"), tmp_path / "copy.backup"
    root, secret = root_of(toy), tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    counted = json.loads(deskloop("data", "backup", *config, "--dry-run", "--json", "--with", "all").out)
    assert (counted["status"], counted["file"]) == ("found", None)
    assert counted["parts"]["models"] == {"files": 1, "bytes": 300_000}
    refusals: dict[str, tuple[object, ...]] = {
        "name the file to write": (),
        "--json asks no questions; add --passphrase-file, or set $DESKLOOP_BACKUP_PASSPHRASE": (target, "--json"),
        "--with ram: choose from clean": (target, "--with", "ram"),
        "--recipient: not a public key": (target, "--recipient", "age1xyz"),
        "choose one of them": (target, "--recipient", TO.keys, "--passphrase-file", secret),
        "No such file": (target, "--passphrase-file", tmp_path / "none"),
    }
    for message, more in refusals.items():
        refused = deskloop("data", "backup", *config, *more)
        assert (refused.code, refused.out) == (2, ""), message
        assert message in refused.err
    assert not target.exists()
    written = deskloop("data", "backup", *config, target, "--passphrase-file", secret, "--with", "all", "--json", "-q")
    document = json.loads(written.out)
    assert (document["status"], document["encrypted_for"]) == ("written", "passphrase")
    before = content(root)
    del before["mlflow.db"]
    shutil.rmtree(root)
    monkeypatch.setenv("DESKLOOP_BACKUP_PASSPHRASE", "wrong")
    refused = deskloop("data", "restore", *config, target, "--json")
    assert (refused.code, "the passphrase is wrong" in refused.err) == (2, True)
    monkeypatch.setenv("DESKLOOP_BACKUP_PASSPHRASE", "correct horse")
    done = json.loads(deskloop("data", "restore", *config, target, "--json", "-q").out)
    assert (done["status"], done["parts"]["models"]) == ("restored", {"files": 1, "bytes": 300_000})
    after = content(root)
    del after["mlflow.db"]
    assert after == before
    refused = deskloop("data", "restore", *config, target, "--replace", "--json")
    assert (refused.code, "--json asks no questions" in refused.err) == (2, True)
    shown = deskloop("data", "backup", *config, tmp_path / "two", "--recipient", TO.keys)
    assert shown.out.splitlines()[-1].endswith("encrypted for a recipient")
    refused = deskloop("data", "restore", *config, tmp_path / "two", "--replace", "-y")
    assert (refused.code, "add --identity FILE" in refused.err) == (2, True)
    (tmp_path / "identity").write_text(f"# a key\n{IDENTITY}\n")
    done = json.loads(
        deskloop(
            "data",
            "restore",
            *config,
            tmp_path / "two",
            "--replace",
            "-y",
            "--identity",
            tmp_path / "identity",
            "--json",
        ).out
    )
    assert set(done["parts"]) == set(ALWAYS)


def test_before_a_run_there_is_no_store_to_back_up(toy: Toy, tmp_path: Path, deskloop: Call) -> None:
    shutil.rmtree(root_of(toy))
    refused = deskloop("data", "backup", "-c", toy.folder / "pipeline.yaml", "--dry-run")
    assert (refused.code, "there is no store at" in refused.err, root_of(toy).exists()) == (2, True, False)

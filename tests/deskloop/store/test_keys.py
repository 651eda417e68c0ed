"""Keys: created once, kept when retired, readable by their owner only; the effects of a rotation."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

import cli
import tasks
from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import Context, StageConfig
from deskloop.engine.recipe import recipe_of
from deskloop.store import keys
from deskloop.store.store import Store
from tests.deskloop.toy import LOG, STAGES, Toy, suites
from tests.flows.desk import Desk, actions, example_lines, table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir(mode=0o700)
    return tmp_path / "keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_made_once(folder: Path) -> None:
    key = keys.current(folder)
    assert (len(key.id), len(key.secret), key.retired_at) == (8, 32, None)
    assert keys.current(folder) == key
    assert keys.all_keys(folder) == [key]
    assert mode(folder / "hmac.json") == 0o600
    assert key.secret.hex() not in repr(key)


def test_rotation_keeps_what_it_retires_the_latest_first(folder: Path) -> None:
    made = [keys.current(folder), keys.rotate(folder), keys.rotate(folder)]
    found = keys.all_keys(folder)
    assert [(key.id, key.secret) for key in found] == [(key.id, key.secret) for key in reversed(made)]
    assert [key.retired_at is None for key in found] == [True, False, False]
    assert len({key.secret for key in found}) == 3
    assert keys.current(folder) == found[0]
    assert {mode(path) for path in folder.glob("*")} == {0o600}
    assert sorted(path.name for path in folder.glob("*.json")) == sorted(
        ["hmac.json", *(f"hmac-{key.id}.json" for key in made[:2])]
    )


def test_a_rotation_that_is_killed_in_between_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys.current(folder)

    def killed() -> keys.Key:
        raise KeyboardInterrupt

    monkeypatch.setattr(keys, "_made", killed)
    with pytest.raises(KeyboardInterrupt):
        keys.rotate(folder)
    assert len(list(folder.glob("hmac-*.json"))) == 1
    assert keys.all_keys(folder) == [before]
    monkeypatch.undo()
    after = keys.rotate(folder)
    assert [key.id for key in keys.all_keys(folder)] == [after.id, before.id]


def test_the_first_key_of_an_earlier_version_is_read(folder: Path) -> None:
    (folder / "hmac.json").write_text(json.dumps({"id": "0a1b2c3d", "key": "ab" * 32}))
    assert keys.current(folder) == keys.Key("0a1b2c3d", b"\xab" * 32)
    keys.rotate(folder)
    assert [key.id for key in keys.all_keys(folder)][1:] == ["0a1b2c3d"]


def test_loose_modes_are_tightened(folder: Path) -> None:
    keys.current(folder)
    keys.rotate(folder)
    for path in folder.glob("*.json"):
        path.chmod(0o644)
    keys.all_keys(folder)
    assert {mode(path) for path in folder.glob("*.json")} == {0o600}


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"id": "0a1b2c3d", "key": "ab"}', '{"id": "../../x", "key": "%s"}' % ("ab" * 32),
                '{"id": "0a1b2c3d", "key": 7}', '{"id": "0a1b2c3d", "key": "%s", "made_at": "x"}' % ("ab" * 32)]
)  # fmt: skip
def test_a_damaged_file_is_refused(folder: Path, content: str) -> None:
    keys.current(folder)
    (folder / "hmac.json").write_text(content)
    for act in (keys.current, keys.all_keys, keys.rotate):
        with pytest.raises(ConfigError, match=r"hmac\.json is damaged; restore it from a backup") as refused:
            act(folder)
        assert "ab" * 32 not in str(refused.value)


def test_a_damaged_retired_key_is_refused(folder: Path) -> None:
    old = keys.current(folder)
    keys.rotate(folder)
    (folder / f"hmac-{old.id}.json").write_text("{")
    with pytest.raises(ConfigError, match=rf"hmac-{old.id}\.json is damaged"):
        keys.all_keys(folder)


def test_a_lost_key_is_not_replaced_silently(folder: Path) -> None:
    keys.current(folder)
    keys.rotate(folder)
    (folder / "hmac.json").unlink()
    for act in (keys.current, keys.all_keys):
        with pytest.raises(ConfigError, match=r"hmac\.json"):
            act(folder)
    given_up = keys.rotate(folder)
    assert keys.current(folder) == given_up


def published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    monkeypatch.setattr(tasks, "stages", lambda: STAGES)
    toy = Toy(folder)
    toy.write({"a": "one", "bb": "two!", "ccc": "three"})
    toy.run()
    return toy


def test_a_store_that_lost_its_key_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(published(tmp_path, monkeypatch).folder / "store")
    (store.root / "keys" / "hmac.json").unlink()
    with pytest.raises(ConfigError, match="restore it from a backup"):
        store.prepare()


def deskloop(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments])
    return (int(ended.value.code or 0), *capsys.readouterr())


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    toy = published(tmp_path, monkeypatch)
    store, config = Store(toy.folder / "store"), ("-c", str(toy.folder / "pipeline.yaml"))
    (first,) = store.keys()
    assert first.made_at is not None
    line = f"{first.id}  current   made {first.made_at.isoformat()[:16]}\n"
    assert deskloop(capsys, "data", "keys", "list", *config) == (0, line, "")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert deskloop(capsys, "data", "keys", "rotate", *config)[0] == 1  # there is no answer to the question
    assert store.keys() == [first]
    code, out, _ = deskloop(capsys, "data", "keys", "rotate", "--yes", *config)
    second = store.keys()[0]
    assert (code, out) == (0, f"{second.id} is the current key; 1 retired\n")
    assert second.id != first.id
    _, out, _ = deskloop(capsys, "data", "keys", "list", "--json", *config)
    listed: list[dict[str, Any]] = json.loads(out)
    assert [(row["id"], row["state"]) for row in listed] == [(second.id, "current"), (first.id, "retired")]
    assert not any(secret in out for secret in (first.secret.hex(), second.secret.hex()))


def test_a_lost_key_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    toy = published(tmp_path, monkeypatch)
    (toy.folder / "store" / "keys" / "hmac.json").unlink()
    code, out, _ = deskloop(capsys, "data", "keys", "rotate", "--yes", "-c", str(toy.folder / "pipeline.yaml"))
    assert (code, out[8:]) == (0, " is the current key; 0 retired\n")


def test_no_rotation_during_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    toy = published(tmp_path, monkeypatch)
    store = Store(toy.folder / "store")
    with store.locked():
        code, _, err = deskloop(capsys, "data", "keys", "rotate", "--yes", "-c", str(toy.folder / "pipeline.yaml"))
    assert (code, "another run is working" in err, len(store.keys())) == (2, True, 1)


def test_the_key_is_in_the_recipe_of_keyed_stages_alone() -> None:
    plain, keyed = LOG, tasks.stages()["ingest"]
    config = StageConfig()
    assert recipe_of(Context("log"), plain, config, "aaaa", {}) == recipe_of(Context("log"), plain, config, "bbbb", {})
    assert recipe_of(Context("log"), keyed, config, "aaaa", {}) != recipe_of(Context("log"), keyed, config, "bbbb", {})


@pytest.mark.long
def test_a_rotation_renames_customers_and_keeps_the_splits(tmp_path: Path) -> None:
    """Conversations whose id is the source's own keep their families; those with a keyed id cannot."""
    lines = example_lines(60)
    with_email = json.loads(lines[0])
    name = next(key for key in with_email if key.endswith("id"))
    lines.append(json.dumps(with_email | {name: "jane.doe@example.com"}).encode())
    desk = Desk(tmp_path, lines)
    before = desk.prepare()
    Store(tmp_path / "store").rotate_key()
    after = desk.prepare()
    assert "reuse" not in {actions(after)[step] for step in ("ingest", "scrub", "dedupe", "split")}
    assert set(actions(desk.prepare()).values()) == {"reuse"}

    columns = ("conversation_id", "customer_keys", "split", "family")
    old, new = ({row["conversation_id"]: row for row in table(run, "deduped").select(columns).to_pylist()}
                for run in (before, after))  # fmt: skip
    hidden = {name for name in old | new if name.startswith(("h-", "c-"))}
    same = old.keys() & new.keys()
    assert len(same) > 40
    assert hidden
    assert not hidden & same
    assert {name: old[name]["split"] for name in same} == {name: new[name]["split"] for name in same}
    keyed = [name for name in same if old[name]["customer_keys"]]
    assert len(keyed) > 40
    assert not [name for name in keyed if set(old[name]["customer_keys"]) & set(new[name]["customer_keys"])]

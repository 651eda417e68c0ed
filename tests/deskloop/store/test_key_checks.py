"""Keys of other stores are refused, and so are stores that lack a key which erasures depend on."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.errors import ConfigError
from deskloop.store import key_checks
from deskloop.store.keys import all_keys
from deskloop.store.store import Store
from tests.cli.test_cli import Call, deskloop
from tests.deskloop.erase.test_erase import end, start, whom
from tests.flows.desk import Desk, actions, example_lines, versions

__all__ = ["deskloop"]
COUNT = 40


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which a person was erased."""
    desk = Desk(tmp_path_factory.mktemp("desk") / "desk", example_lines(COUNT))
    desk.steps = desk.steps[:2]
    desk.prepare()
    start(desk, whom(example_lines(COUNT))[0])
    end(desk)
    return desk.folder


@pytest.fixture
def desk(erased: Path, tmp_path: Path) -> Desk:
    shutil.copytree(erased / "store", tmp_path / "desk" / "store")
    made = Desk(tmp_path / "desk", example_lines(COUNT))
    made.steps = made.steps[:2]
    made.save()
    return made


def foreign(folder: Path, identity: str = "") -> None:
    """Put a well-formed key of another store in place."""
    content = json.loads((folder / "hmac.json").read_bytes())
    (folder / "hmac.json").write_text(json.dumps({"id": identity or "0badc0de", "key": "ab" * 32}))
    assert content["id"] != "0badc0de"


@pytest.mark.parametrize("same_id", [False, True])
def test_erased_people_do_not_return_under_another_key(desk: Desk, same_id: bool) -> None:
    store = Store(desk.folder / "store")
    before = (store.root / "keys" / "hmac.json").read_bytes()
    foreign(store.root / "keys", json.loads(before)["id"] if same_id else "")
    for act in (desk.prepare, store.key, store.keys, store.prepare):
        with pytest.raises(ConfigError, match=r"Restore the folder `keys` from a backup") as refused:
            act()
        assert "ab" * 32 not in str(refused.value)
    (store.root / "keys" / "hmac.json").write_bytes(before)
    assert set(actions(desk.prepare()).values()) == {"reuse"}


@pytest.mark.parametrize("left", ["ledger", "catalog"])
def test_either_copy_is_enough(desk: Desk, left: str) -> None:
    store = Store(desk.folder / "store")
    for folder, name in key_checks.PLACES:
        if folder != left:
            (store.root / folder / name).unlink()
    foreign(store.root / "keys")
    with pytest.raises(ConfigError, match="the data was created with"):
        store.prepare()


def test_a_store_without_check_values_gets_them_when_it_is_next_opened(desk: Desk) -> None:
    store = Store(desk.folder / "store")
    places = [store.root.joinpath(*place) for place in key_checks.PLACES]
    (content,) = {path.read_bytes() for path in places}
    assert store.key()[1].hex() not in content.decode()
    for path in places:
        path.unlink()
    with store.locked():
        assert {path.read_bytes() for path in places} == {content}
    assert {oct(path.stat().st_mode & 0o777) for path in places} == {"0o600"}


def test_without_check_values_the_erasures_still_need_their_key(desk: Desk) -> None:
    store = Store(desk.folder / "store")
    for place in key_checks.PLACES:
        store.root.joinpath(*place).unlink()
    (name,) = key_checks.needed(store.root)
    foreign(store.root / "keys")
    with pytest.raises(ConfigError, match=rf"keys are missing .*{name} \(1 erasures\).*keys/hmac-{name}\.json"):
        desk.prepare()


def test_a_retired_key_that_erasures_need_must_be_there(desk: Desk) -> None:
    store = Store(desk.folder / "store")
    (name,) = key_checks.needed(store.root)
    with store.locked():
        store.rotate_key()
    retired = store.root / "keys" / f"hmac-{name}.json"
    kept = retired.read_bytes()
    retired.unlink()
    with pytest.raises(ConfigError, match=rf"{name} \(1 erasures\)"):
        desk.prepare()
    content = json.loads(kept) | {"key": "cd" * 32}
    retired.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=f"key {name} is not the one"):
        desk.prepare()
    retired.write_bytes(kept)
    run = desk.prepare()
    assert versions(run)["ingested"].reasons["erased"] > 0


def test_an_earlier_key_of_the_store_is_not_accepted_as_the_current_one(desk: Desk, tmp_path: Path) -> None:
    """As when the folder `keys` alone is restored from before a rotation."""
    store = Store(desk.folder / "store")
    shutil.copytree(store.root / "keys", tmp_path / "kept")
    with store.locked():
        store.rotate_key()
    shutil.rmtree(store.root / "keys")
    shutil.copytree(tmp_path / "kept", store.root / "keys")
    with pytest.raises(ConfigError, match="but the data was created with"):
        desk.prepare()


class Killed(BaseException):
    """Raised to simulate a kill during a rotation."""


def replacements(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    """Allow a number of files to be replaced, then simulate a kill."""
    calls: Iterator[int] = iter(range(1000))

    def wrapped(name: str) -> Any:
        real = getattr(Path, name)

        def act(self: Path, target: Path) -> Any:
            if next(calls) >= allowed:
                raise Killed
            return real(self, target)

        return act

    for name in ("replace", "rename"):
        monkeypatch.setattr(Path, name, wrapped(name))


@pytest.mark.parametrize("allowed", range(7))
def test_a_rotation_killed_anywhere_leaves_a_store_that_opens(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    store = Store(desk.folder / "store")
    before = store.key()[0]
    with monkeypatch.context() as patched, store.locked():
        replacements(patched, allowed)
        # Six files are put in place: the retired key, two notes, the new key, two notes.
        if allowed < 6:
            with pytest.raises(Killed):
                store.rotate_key()
        else:
            store.rotate_key()
    with store.locked():
        assert (store.key()[0] != before) == (allowed >= 4)
        assert before in [key.id for key in all_keys(store.root / "keys")]
    (content,) = {store.root.joinpath(*place).read_bytes() for place in key_checks.PLACES}
    assert (json.loads(content)["current"], json.loads(content)["next"]) == (store.key()[0], "")
    with store.locked():
        after = store.rotate_key()
    assert store.key()[0] == after.id
    assert before in [key.id for key in all_keys(store.root / "keys")]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"current": 1, "next": "", "values": {}, "given_up": []}'])
def test_damaged_check_values_are_refused(desk: Desk, content: str) -> None:
    store = Store(desk.folder / "store")
    (store.root / "ledger" / "keys.json").write_text(content)
    with pytest.raises(ConfigError, match=r"ledger/keys\.json is damaged; restore it"):
        store.prepare()


def test_a_lost_key_that_erasures_need_is_not_given_up_by_the_way(desk: Desk, deskloop: Call) -> None:
    store = Store(desk.folder / "store")
    (store.root / "keys" / "hmac.json").unlink()
    command = ("data", "keys", "rotate", "--yes", "-c", desk.file)
    refused = deskloop(*command)
    assert (refused.code, "1 erasures can be recognised by the lost key alone" in refused.err) == (2, True)
    assert not (store.root / "keys" / "hmac.json").exists()
    done = deskloop(*command, "--forget-erasures")
    assert (done.code, done.out[8:]) == (0, " is the current key; 0 retired\n")
    with store.locked():
        assert key_checks.needed(store.root) == {}
    assert all_keys(store.root / "keys")[0].id == store.key()[0]

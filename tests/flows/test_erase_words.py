"""`data erase` by an ordinary word touches nothing; records that could not be read need a confirmation of their own."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from deskloop.erase import erase
from deskloop.store.store import Store
from tests.cli.test_cli import Call, deskloop
from tests.deskloop.erase.test_erase import Killed, end, killer, start, whom
from tests.flows.desk import Desk, example_lines, versions

__all__ = ["deskloop"]
pytestmark = pytest.mark.filterwarnings("default")
BROKEN = [
    b'{"conversation_id": "HD-900001", "customer": {"id": "C-90001", "name": "Ann Lee"}, "turns": [{"role": "cust',
    b'{"turns": [{"role": "customer", "text": "my order did not come on Monday, order 774',
    b"Monday,order,thanks",
]
COUNT = 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("desk") / "desk", [*example_lines(COUNT), *BROKEN])
    desk.steps = desk.steps[:2]
    desk.prepare()
    return desk.folder


@pytest.fixture
def desk(prepared: Path, tmp_path: Path) -> Desk:
    shutil.copytree(prepared / "store", tmp_path / "desk" / "store")
    made = Desk(tmp_path / "desk", [*example_lines(COUNT), *BROKEN])
    made.steps = made.steps[:2]
    made.save()
    return made


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("option", ["--customer", "--conversation"])
@pytest.mark.parametrize("word", ["order", "Monday", "thanks", "customer", "turns", "2024", "C-9"])
def test_an_ordinary_word_touches_nothing(desk: Desk, deskloop: Call, option: str, word: str) -> None:
    before = snapshot(desk.folder)
    done = deskloop("data", "erase", "-c", desk.file, option, word, "-y")
    assert (done.code, "the store has no row of theirs" in done.err) == (2, True), done.out
    assert snapshot(desk.folder) == before


def test_a_match_in_the_quarantine_alone_is_reported_and_left(desk: Desk, deskloop: Call) -> None:
    before = snapshot(desk.folder)
    command = ("data", "erase", "-c", desk.file, "--customer", "C-90001")
    for flags in (("-y", "--json"), ("--dry-run", "--json")):
        told = deskloop(*command, *flags)
        document: dict[str, Any] = json.loads(told.out)
        assert told.code == (2 if "-y" in flags else 0)
        assert document["status"] == ("unconfirmed" if "-y" in flags else "found")
        assert document["unreadable"] == [
            {"row_id": f"day-1.jsonl:{COUNT + 1}", "why": "customer id in the field customer.id"}
        ]
        assert (document["only_unreadable"], document["conversations"], document["matched"]) == (True, 0, [])
        assert "Ann" not in told.out + told.err
    told = deskloop(*command, "-y")
    assert (told.code, "nothing was erased" in told.out, "add --unreadable" in told.out) == (2, True, True)
    assert f"day-1.jsonl:{COUNT + 1}: customer id in the field customer.id" in told.out
    assert snapshot(desk.folder) == before


def test_confirmed_it_goes_and_stays_away(desk: Desk, deskloop: Call, prefect: Path) -> None:
    told = deskloop("data", "erase", "-c", desk.file, "--customer", "C-90001", "-y", "--unreadable", "--json", "-q")
    assert told.code == 0, told.err
    document = json.loads(told.out)
    assert (document["status"], document["quarantine"], document["rows"]) == ("erased", 1, {})
    desk.write([*example_lines(COUNT + 1), *BROKEN])  # moved by a line
    run = desk.prepare()
    assert versions(run)["ingested"].reasons["erased"] == 1
    left = Store(desk.folder / "store")
    assert b"C-90001" not in b"".join(snapshot(left.root / "raw").values())


def test_who_is_asked_sees_which_records_and_why(desk: Desk, deskloop: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def confirm(question: str, **options: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("click.confirm", confirm)
    before = snapshot(desk.folder)
    customer, own = whom(example_lines(COUNT))
    assert deskloop("data", "erase", "-c", desk.file, "--customer", "C-90001").code != 0
    told = deskloop("data", "erase", "-c", desk.file, "--customer", customer)
    assert "by id" in told.err
    assert [one.split(",")[0] for one in asked] == [
        "No conversation of theirs is in the store", "This cannot be undone. Erase?"
    ]  # fmt: skip
    looked = json.loads(deskloop("data", "erase", "-c", desk.file, "--customer", customer, "--dry-run", "--json").out)
    assert looked["matched"] == [
        {"conversation_id": name, "by": ["id"]} for name in sorted({one["conversation_id"] for one in own})
    ]
    assert snapshot(desk.folder) == before


@pytest.mark.parametrize("named", [True, False])
def test_a_resumed_erasure_tells_what_was_erased(
    desk: Desk, deskloop: Call, prefect: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    customer, own = whom(example_lines(COUNT))
    found = start(desk, customer)
    with monkeypatch.context() as patched:
        patched.setattr(erase, "_publish", killer(erase._publish, 0))
        with pytest.raises(Killed):
            end(desk)
    who = ("--customer", customer, "-y") if named else ()
    done = deskloop("data", "erase", "-c", desk.file, *who, "-q")
    assert done.code == 0, done.err
    count = len({one["conversation_id"] for one in own})
    assert done.out.startswith(f"erased: {count} conversations\n")
    assert f"  {'ingested':<24} {found['rows']['ingested']:>7,} rows" in done.out
    last = done.out.splitlines()[-1]
    assert (last == "already erased: nothing of theirs is left") == named
    assert " 0 conversations" not in done.out
    again = deskloop("data", "erase", "-c", desk.file, "--customer", customer, "-y", "--json")
    assert json.loads(again.out)["status"] == "already_erased"

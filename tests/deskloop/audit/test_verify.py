"""`deskloop data verify` detects damage in every part of the store and names the remedy."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import data
from cli.data import verify_command
from deskloop.audit.verify import verify
from deskloop.contract.errors import DamageError
from deskloop.contract.stage import Context, Inputs, ModelStage, StageConfig
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Catalog
from deskloop.store.digest import row_hashes
from deskloop.store.memo import Memo
from deskloop.store.parts import write_rows
from deskloop.store.store import Store
from tests.deskloop.store.damage import active, delete, entries, flip, swap, truncate, zero
from tests.deskloop.toy import Toy, suites

LOG = {"a": "one", "bb": "two!", "ccc": "three", "x": "broken", "long": "y" * 30}
TABLES = ("raw/logged", "raw/quarantine", "clean/uppered", "clean/upper.rejects", "ledger/families", "catalog")


def model(pipeline: Toy, weights: bytes = b"weights") -> tuple[object, object]:
    """A base model of one file, pinned as the real one is."""

    def make(inputs: Inputs, config: StageConfig, context: Context, out: Path, work: Path) -> dict[str, str]:
        out.mkdir(parents=True)
        (out / "model.safetensors").write_bytes(weights)
        (out / "config.json").write_text("{}")
        return {"base": "toy"}

    stage = ModelStage(name="base", dataset="base", config=StageConfig, role="base", ports={}, make=make, pinned=True)
    made = pipeline.engine().run(Step("base", stage, StageConfig(), "base"))
    return made.versions[0], made.decision


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        suites(monkeypatch)
        made = Toy(tmp_path_factory.mktemp("built"))
        for log in (LOG, {**LOG, "bb": "changed"}):
            made.write(log)
            made.run(longest=20)
        ledger = made.engine().ledger
        ledger.record_artifact("copy", "recipe", {"vocabulary.json": b"{}"}, 3, "first fit")
        with Memo(str(made.folder / "store" / "memo" / "copy.sqlite")) as memo:
            memo.remember("generator", {("text", n): f"output {n}" for n in range(50)})
        model(made)
        yield made.folder


@pytest.fixture
def pipeline(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    return Toy(Path(shutil.copytree(built, tmp_path / "copy")))


def found(pipeline: Toy) -> list[str]:
    return [one.place for one in verify(Store(pipeline.folder / "store")).findings]


def test_a_sound_store_has_no_finding(pipeline: Toy) -> None:
    result = verify(Store(pipeline.folder / "store"))
    assert result.findings == []
    assert result.as_dict()["status"] == "ok"
    assert {"keys": 1, "catalog": 1, "blobs": 1, "memos": 1, "models": 1}.items() <= result.checked.items()
    assert result.checked["versions"] == 12


def test_every_kind_of_damage_to_a_table_is_found(pipeline: Toy) -> None:
    store = pipeline.folder / "store"
    damages: list[Callable[[Path], object]] = [
        lambda table: flip(active(table)[0], 1),
        lambda table: flip(entries(table)[-1]),
        lambda table: truncate(active(table)[0]),
        lambda table: delete(active(table)[0]),
        lambda table: delete(entries(table)[-1]),
        lambda table: zero(entries(table)[0]),
        lambda table: flip(table / "_checksums.json"),
        delete,
    ]
    aside = pipeline.folder / "aside"
    for name in TABLES:
        for number, damage in enumerate(damages):
            swap_in = Path(shutil.copytree(store / name, aside))
            damage(store / name)
            assert name in found(pipeline), (name, number)
            shutil.rmtree(store / name, ignore_errors=True)
            swap_in.rename(store / name)
    assert found(pipeline) == []


def test_every_other_kind_of_file_is_found_too(pipeline: Toy) -> None:
    store = pipeline.folder / "store"
    (blob,) = (store / "ledger" / "blobs").iterdir()
    (base,) = (store / "models" / "base").iterdir()
    swap(store / "clean" / "train_copied", store / "clean" / "validation_copied")
    flip(blob / "vocabulary.json")
    zero(store / "memo" / "copy.sqlite")
    flip(base / "config.json")
    truncate(store / "keys" / "hmac.json")
    delete(store / "ledger" / "arrivals")
    (store / "ledger" / "access.jsonl").write_text("{")
    places = found(pipeline)
    for place in ("keys", "clean/train_copied", f"ledger/blobs/{blob.name}", "ledger/arrivals", "ledger/access.jsonl"):
        assert place in places
    assert f"models/base/{base.name}" in places
    assert "memo/copy.sqlite" in places


def test_a_row_that_was_wrong_before_its_checksum_is_found(pipeline: Toy) -> None:
    """Checksums cover the bytes of a file; row hashes cover the rows that were written to it."""
    store = Store(pipeline.folder / "store")
    rows = store.read("clean", "uppered", store.delta_version("clean", "uppered"), None)
    other = rows.set_column(rows.column_names.index("source"), "source", [["elsewhere"] * rows.num_rows])
    part = write_rows(store.staging("clean"), other.append_column("_hash", row_hashes(rows)))
    store.append_parts("clean", "uppered", [part])
    assert found(pipeline) == ["clean/uppered"]


def test_the_command_says_what_to_do_and_fails(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(pipeline.folder / "store")
    loaded = pipeline.pipeline()
    monkeypatch.setattr("deskloop.pipeline.load.load_pipeline", lambda *arguments, **options: loaded)
    command = ["-c", str(loaded.file)]
    sound = CliRunner().invoke(verify_command, command)
    assert (sound.exit_code, sound.output.splitlines()[-1]) == (0, "nothing is damaged")
    flip(active(store.root / "clean" / "uppered")[0])
    flip(active(store.root / "raw" / "logged")[0])
    damaged = CliRunner().invoke(verify_command, command)
    assert damaged.exit_code == 1
    assert "raw/logged is damaged: part-" in damaged.output
    assert "restore it from a backup (`deskloop data restore`)" in damaged.output
    assert "The next `deskloop run` or `deskloop prepare` rebuilds it." in damaged.output
    document = json.loads(CliRunner().invoke(verify_command, [*command, "--json"]).output)
    assert document["status"] == "damaged"
    assert [one["place"] for one in document["damaged"]] == ["clean/uppered", "raw/logged"]
    assert data.data_command.commands["verify"] is verify_command


def test_what_verify_finds_is_rebuilt_by_the_next_run_that_would_reuse_it(pipeline: Toy) -> None:
    """A flipped bit does not change the size, which is all that a run checks."""
    pipeline.run(longest=20)
    table = pipeline.folder / "store" / "clean" / "train_copied"
    flip(active(table)[0])
    assert found(pipeline) == ["clean/train_copied"]
    result = pipeline.run(longest=20)
    assert [action for action, _ in result.values()] == ["reuse", "reuse", "reuse", "compute"]
    assert result["copy"][1][0].why.startswith("train_copied was damaged: ")
    assert found(pipeline) == []


def test_a_damaged_memo_is_refused(pipeline: Toy) -> None:
    path = pipeline.folder / "store" / "memo" / "copy.sqlite"
    zero(path)
    pipeline.write({**LOG, "new": "row"})
    with pytest.raises(DamageError, match=r"memo/copy.sqlite is damaged: .*or delete the file"):
        pipeline.run(longest=20)


@pytest.mark.parametrize(
    "statement", ["UPDATE outputs SET output = 'other'", "DELETE FROM outputs WHERE output = 'output 7'"]
)
def test_a_changed_or_lost_output_is_detected(pipeline: Toy, statement: str) -> None:
    path = pipeline.folder / "store" / "memo" / "copy.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    with Memo(str(path)) as memo, pytest.raises(DamageError, match=r"does not match its checksum|outputs are missing"):
        memo.check()


def test_a_damaged_base_is_rebuilt_if_its_weights_are_the_same(pipeline: Toy) -> None:
    version, decision = model(pipeline)
    assert decision.action == "reuse"
    (base,) = (pipeline.folder / "store" / "models" / "base").iterdir()
    flip(base / "model.safetensors")
    again, decision = model(pipeline)
    assert decision.why.endswith("model.safetensors does not match its checksum")
    assert (again.name, again.digest) == (version.name, version.digest)
    assert model(pipeline)[1].action == "reuse"
    flip(base / "model.safetensors")
    with pytest.raises(DamageError, match=r"gave other weights.*deskloop data restore"):
        model(pipeline, b"others")
    assert Catalog(pipeline.folder / "store" / "catalog").get("base").digest == version.digest

"""Compare candidates with the champion over several nights; promote, keep or roll back."""

from pathlib import Path
from typing import Any

import pytest

from deskloop.engine.plan import plan
from deskloop.models import Registry
from deskloop.pipeline.load import load_pipeline
from deskloop.store.store import Store
from tasks import stages
from tests.flows.conftest import MODEL, PREPARED, first_run
from tests.flows.desk import Desk, example_lines

STORE = (".registry.lock", "catalog", "clean", "keys", "ledger", "memo", "models", "raw", "reports")
pytestmark = pytest.mark.filterwarnings("default")


def gates(document: dict[str, Any]) -> dict[str, bool]:
    return {gate["gate"]: gate["passed"] for gate in document["decision"]["gates"]}


def planned(desk: Desk, *overrides: str) -> dict[str, str]:
    pipeline = load_pipeline(desk.file, stages(), overrides)
    return {entry["step"]: entry["action"] for entry in plan(pipeline)}


def test_two_nights_and_back(trained_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.retrain import retrain
    from tasks.evaluate import EvaluateConfig, replies

    desk, first = trained_desk, first_run(trained_desk)
    assert first["decision"]["action"] == "promoted"
    assert first["decision"]["promoted"]
    assert first["champion"] is None
    assert (first["model"]["version"], first["model"]["alias"]) == (1, "champion")
    registry = Registry(desk.folder / "store")
    one = registry.champion("desk")
    assert one is not None
    assert one.folder.is_relative_to(desk.folder)
    assert first["model"]["folder"].endswith(str(one.folder.relative_to(desk.folder)))
    assert one.data["train"] == "train@1"
    assert one.data["test_encoded"] == "test_encoded@1"
    assert "# desk" in (one.folder / "README.md").read_text()
    prompts = EvaluateConfig.model_validate(MODEL["evaluate"]).prompts
    greedy = EvaluateConfig.model_validate({**MODEL["evaluate"], "max_new_tokens": 24})
    before = replies(one.folder, prompts, greedy, 3)

    again = retrain(str(desk.file))
    assert all(step["reused"] for name, step in again["steps"].items() if name != "promote")
    assert again["decision"]["action"] == "already_champion"
    assert len(registry.models("desk")) == 1

    assert planned(desk) == dict.fromkeys(again["steps"], "reuse") | {"promote": "decide"}
    assert planned(desk, "finetune.max_steps=9")["finetune"] == "compute"

    desk.write(example_lines(25, start=PREPARED), "day-2.jsonl")
    second = retrain(str(desk.file))
    assert second["steps"]["scrub"]["extended"]
    assert second["champion"]["version"] == 1
    assert "champion" in second["metrics"]
    assert [found["against"] for found in second["comparisons"]] == ["base", "champion", "unigram", "bigram"]
    assert "champion" in second["replies"][0]
    assert "not worse than champion" in gates(second)
    assert second["decision"]["promoted"] == all(gates(second).values())
    two = registry.promote("desk", 2, "by hand, whatever the gates said")
    assert two.previous == 1

    third = retrain(str(desk.file))  # judged against the model that it took over from: the same evaluation
    assert third["steps"]["evaluate"]["reused"]
    assert third["decision"]["action"] == "already_champion"

    left, back = registry.rollback("desk", "it sounded wrong")
    assert (left.version, back.version) == (2, 1)
    assert replies(back.folder, prompts, greedy, 3) == before

    told: list[Any] = []
    taken = [False, True, True]  # whether a server takes the message
    monkeypatch.setattr("flows.opened.gate_blocked", lambda *message: told.append(message) or taken[len(told) - 1])
    for sent in (1, 2, 2):  # again where the first was not taken; then never again
        fourth = retrain(str(desk.file))
        assert fourth["steps"]["evaluate"]["reused"]
        assert gates(fourth)["not replaced before"] is False
        assert fourth["decision"]["action"] == "blocked"
        assert len(told) == sent
    assert told[0][1] == "desk"
    assert "not replaced before" in told[0][2]
    assert registry.models("desk")[0].decision == fourth["decision"]["why"]
    champion = registry.champion("desk")
    assert champion is not None
    assert champion.version == 1


@pytest.mark.long
def test_a_champion_with_another_tokenizer_is_judged_on_the_same_conversations(trained_desk: Desk) -> None:
    from flows.retrain import retrain

    desk, first = trained_desk, first_run(trained_desk)
    second = retrain(str(desk.file), overrides=["encode.vocabulary=900"])
    metrics = second["metrics"]
    assert metrics["candidate"]["supervised_tokens"] < metrics["champion"]["supervised_tokens"]
    assert metrics["champion"]["bits_per_byte"] == pytest.approx(first["metrics"]["candidate"]["bits_per_byte"])
    assert second["comparisons"][1]["against"] == "champion"


@pytest.mark.long
def test_a_champion_that_saw_the_test_split_is_no_judge(trained_desk: Desk) -> None:
    """P3: with the ledger gone, other conversations may be the test split."""
    import shutil

    from deskloop.contract.errors import DamageError, DataError
    from deskloop.store.checksums import TABLES
    from flows.retrain import retrain

    desk = trained_desk
    ledger = desk.folder / "store" / "ledger"
    shutil.rmtree(ledger / "families")
    with pytest.raises(DamageError, match="ledger/families is damaged: the whole table is missing"):
        retrain(str(desk.file), overrides=["dedupe.test=0.3", "dedupe.validation=0.3"])
    (ledger / TABLES).unlink()  # so that nothing says that there was such a table
    with pytest.raises(DataError, match=r"was trained on .* families of the test split"):
        retrain(str(desk.file), overrides=["dedupe.test=0.3", "dedupe.validation=0.3"])


def test_a_sample_decides_nothing_outside_its_store(
    tmp_path: Path, prefect: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tracking server it took production over; with a production champion, it failed for its missing folder."""
    from flows.retrain import retrain
    from tests.deskloop.models.test_registry import Shop

    server = f"sqlite:///{tmp_path / 'server.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setattr("flows.opened.gate_blocked", lambda *_: pytest.fail("a sample sends no message"))
    desk = Desk(tmp_path / "desk", example_lines(PREPARED))
    desk.extra = {**MODEL, "promote": {}}
    desk.save()
    production = Shop(desk.folder / "store", "desk")
    Store(production.root).prepare()
    production.register(1)
    production.registry.promote("desk", 1, "by hand")
    before = production.registry.models("desk")

    document = retrain(str(desk.file), sample=140)
    assert document["champion"] is None
    assert document["decision"]["action"] == "kept"  # too few test families, so that there are failed gates to tell
    assert (document["model"]["version"], document["model"]["alias"]) == (1, "challenger")
    assert production.registry.models("desk") == before
    sample = desk.folder / "store-sample-140"
    for part in ("mlflow.db", "keys/hmac.json", "ledger/families", "catalog/_delta_log"):
        assert (sample / part).exists(), part
    assert sorted(path.name for path in production.root.iterdir() if path.name not in STORE) == []

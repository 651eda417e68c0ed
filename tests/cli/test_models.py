"""`deskloop models`: the champion, and an immediate rollback after which the earlier replies return token for token."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cli
from deskloop.contract.hub import weights_digest
from deskloop.models import Registry
from deskloop.store.catalog import Catalog, Parent, Version
from tasks.encode import tiny
from tasks.encode import tokenizer as tokenizer_module
from tests.flows.desk import Desk

TEXTS = ["Where is my order?", "It is on its way.", "Thank you, it has come."] * 20


class Result(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def deskloop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """`deskloop ARGUMENTS` in this process."""
    monkeypatch.delenv("DESKLOOP_DEBUG", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(int(ended.value.code or 0), out, err)

    return call


SIZE = {"families": 60}


def evaluation(version: str, bits: float, against: float) -> dict[str, Any]:
    """What a run records, as far as gates and lists look at it."""
    figures = {"base": 5.0, "unigram": 4.0, "bigram": 3.0, "finetune": bits, "champion": against}
    paired = [(name, bits - value) for name, value in figures.items() if name != "finetune"]
    return {
        "candidates": {"finetune": version},
        "metrics": {name: {"bits_per_byte": value} for name, value in figures.items()},
        "comparisons": [
            {
                "of": "finetune",
                "against": name,
                "difference": gap,
                "low": gap - 0.01,
                "high": gap + 0.01,
                "families": 60,
            }
            for name, gap in paired
        ],
    }


def built(folder: Path) -> Path:
    """A pipeline file with a base and three tiny models of its own name; the first two were promoted, in turn.

    The third is worse than the champion.
    """
    desk = Desk(folder, [b"{}"])
    desk.extra = {"evaluate": {"max_new_tokens": 12, "no_repeat_ngram": 0}, "promote": {}}
    desk.save()
    store = folder / "store"
    catalog, registry = Catalog(store / "catalog"), Registry(store)
    base = tokenizer_module.load(tiny.train_tokenizer(TEXTS, 300))
    files = tokenizer_module.to_files(tokenizer_module.adapt(base, ["<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_2>"]))

    def publish(dataset: str, kind: str, seed: int, parents: list[Parent], details: dict[str, Any]) -> Version:
        fingerprint = f"{seed:032x}"
        place = store / "models" / dataset / fingerprint[:16]
        if kind == "model":
            place = store / "models" / dataset / f"{seed:016d}"
            fingerprint = f"{seed:016d}"
            tiny.make_tiny(files, place, seed)
        digest = weights_digest(place) if kind == "model" else str(seed)
        version = Version(dataset, 0, kind, "models", "step", "step", fingerprint, "recipe", digest, 0,
                          parents=parents, details=details)  # fmt: skip
        return catalog.publish([version])[0]

    start = publish("base", "model", 9, [], {})
    for seed, (bits, against) in enumerate([(2.5, 4.0), (2.25, 2.5), (2.375, 2.25)], 1):
        model = publish("desk", "model", seed, [start.as_parent()], {})
        judged = publish("evaluation", "evaluation", seed, [model.as_parent()], evaluation(model.name, bits, against))
        registry.register(
            "desk", model, store / "models" / "desk" / model.fingerprint[:16], metrics={}, parameters={}, history=[],
            data={"train": f"train@{seed}"}, evaluation=judged.name, report=f"run-{seed}",
        )  # fmt: skip
        if seed < 3:
            registry.promote("desk", seed, "all gates passed")
        if seed == 1:
            registry.note_decision(registry.models("desk")[0], "it passed")
    return desk.file


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return built(tmp_path_factory.mktemp("models") / "desk")


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    """A pipeline file with three models, to be changed: a store may be copied."""
    return Path(shutil.copytree(made.parent, tmp_path / "desk")) / made.name


def test_before_the_first_model(tmp_path: Path, deskloop: Call) -> None:
    desk = Desk(tmp_path / "desk", [b"{}"])
    desk.save()
    told = f"no model is registered yet; make one with: deskloop run -c {desk.file}\n"
    assert deskloop("models", "list", "-c", desk.file) == (0, "", told)
    assert deskloop("models", "list", "-c", desk.file, "--json") == (0, "[]\n", "")
    for arguments, why in (
        (("promote", "1"), "no model version '1'; no model is registered yet"),
        (("rollback",), "model 'desk' has no champion"),
    ):
        refused = deskloop("models", *arguments, "-c", desk.file)
        assert (refused.code, refused.out, why in refused.err) == (2, "", True)


def test_list_promote_and_roll_back(file: Path, deskloop: Call) -> None:
    listed = deskloop("models", "list", "-c", file)
    lines = listed.out.splitlines()
    assert (listed.code, listed.err, len(lines)) == (0, "", 11)
    assert lines[0].startswith("   3  desk@3               challenger   2.375 bits per byte   registered 2")
    assert lines[0].endswith(" UTC, never promoted")
    assert lines[3].startswith("   2  desk@2               champion     2.250 bits per byte   champion since 2")
    assert lines[3].endswith(" UTC, after 1")
    assert lines[6] == "      promoted: all gates passed"
    assert "was champion from" in lines[7]
    assert lines[10] == "      last run: it passed"
    assert lines[1:3] == ["      train@3", f"      {file.parent}/store/models/desk/{3:016d}"]

    blocked = deskloop("models", "promote", "desk@3", "--reason", "experts prefer it", "-c", file)
    assert blocked.out == "desk 3 (desk@3) is promoted, in place of 2 (desk@2)\n"
    assert blocked.err == (
        "it had failed the gate not worse than champion: +0.125 bits per byte (+0.115 to +0.135); the whole "
        "interval must be below +0.068\n"
    )

    began = time.monotonic()
    back = deskloop("models", "rollback", "--reason", "rude replies", "-c", file)
    assert back == (0, "desk 2 (desk@2) is promoted, in place of 3 (desk@3)\n", "")
    assert time.monotonic() - began < 5

    rows = json.loads(deskloop("models", "list", "-c", file, "--json").out)
    assert [(one["version"], one["aliases"], one["previous"]) for one in rows] == [(3, [], 2), (2, ["champion"], 1),
                                                                                   (1, [], None)]  # fmt: skip
    assert rows[0]["rolled_back"].endswith(" rude replies")
    assert {key: rows[1][key] for key in ("name", "catalog", "bits_per_byte", "evaluation", "report", "data")} == {
        "name": "desk", "catalog": "desk@2", "bits_per_byte": 2.25, "evaluation": "evaluation@2", "report": "run-2",
        "data": {"train": "train@2"},
    }  # fmt: skip
    assert "rolled back " in deskloop("models", "list", "-c", file).out.splitlines()[0]

    again = json.loads(deskloop("models", "promote", "3", "-c", file, "--json").out)
    assert (again["from"]["version"], again["to"]["version"], again["to"]["rolled_back"]) == (2, 3, None)
    assert [gate["gate"] for gate in again["failed_gates"]] == ["not worse than champion"]
    moved = json.loads(deskloop("models", "rollback", "-c", file, "--json").out)
    assert (moved["from"]["version"], moved["to"]["version"], moved["failed_gates"]) == (3, 2, [])
    same = deskloop("models", "promote", "2", "-c", file)
    assert same == (0, "desk 2 (desk@2) is the champion already\n", "")
    assert "it was rolled back before: 2" in deskloop("models", "promote", "3", "-c", file).err


def test_what_is_not_there_is_refused_with_what_is(file: Path, deskloop: Call) -> None:
    for name, told in (("7", "no model version '7'; there are: 1, 2, 3"), ("dest@3", "did you mean 'desk@3'?")):
        refused = deskloop("models", "promote", name, "-c", file)
        assert (refused.code, refused.out, told in refused.err) == (2, "", True)
    (file.parent / "store" / "models" / "desk" / f"{1:016d}" / "model.safetensors").write_bytes(b"damaged")
    for arguments in (("promote", "1"), ("rollback",)):
        refused = deskloop("models", *arguments, "-c", file)
        assert (refused.code, "model desk 1 (desk@1) cannot be promoted" in refused.err) == (1, True)
    assert Registry(file.parent / "store").champion("desk").version == 2  # type: ignore[union-attr]


def test_rollback_restores_the_replies_token_for_token(file: Path, deskloop: Call) -> None:
    from tasks.evaluate import EvaluateConfig, replies

    config = EvaluateConfig(prompts=["Where is it?", "It has come."], max_new_tokens=16, temperature=0)
    registry = Registry(file.parent / "store")

    def spoken() -> list[str]:
        champion = registry.champion("desk")
        assert champion is not None
        return replies(champion.folder, config.prompts, config, 0)

    before = spoken()
    assert deskloop("models", "promote", "3", "-c", file).code == 0
    assert spoken() != before
    assert deskloop("models", "rollback", "-c", file).code == 0
    assert spoken() == before


def test_a_model_whose_files_have_changed_is_listed_and_refused(file: Path, deskloop: Call) -> None:
    folder = file.parent / "store" / "models" / "desk"
    weights = folder / f"{2:016d}" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    shutil.rmtree(folder / f"{1:016d}")
    listed = deskloop("models", "list", "-c", file).out
    assert listed.count("DAMAGED") == 2
    assert f"DAMAGED: the files in {folder / f'{2:016d}'} differ from those that were registered; restore it" in listed
    assert f"DAMAGED: its folder {folder / f'{1:016d}'} is missing or incomplete; restore it" in listed
    rows = json.loads(deskloop("models", "list", "-c", file, "--json").out)
    assert [row["damage"] is None for row in rows] == [True, False, False]
    for which in ("champion", "2", "desk@1"):
        refused = deskloop("chat", "-c", file, "--model", which)
        assert (refused.code, refused.out) == (1, "")
        assert "cannot answer: " in refused.err
        assert "Restore it from a backup, or choose another version from `deskloop models list`." in refused.err
    (base,) = (file.parent / "store" / "models" / "base").iterdir()
    (base / "tokenizer.json").write_text("{}")
    refused = deskloop("chat", "-c", file, "--model", "base")
    assert (refused.code, "base@1 cannot answer: the files in" in refused.err) == (1, True)


def test_a_sample_is_looked_at_by_every_command(file: Path, deskloop: Call) -> None:
    shutil.copytree(file.parent / "store", file.parent / "store-sample-20")
    deskloop("models", "promote", "1", "-c", file, "--sample", 20)
    assert deskloop("models", "list", "-c", file, "--sample", 20).out.splitlines()[-5].startswith("   1  desk@1")
    own, sample = Registry(file.parent / "store"), Registry(file.parent / "store-sample-20")
    assert [one.champion("desk").version for one in (own, sample)] == [2, 1]  # type: ignore[union-attr]
    assert deskloop("models", "rollback", "-c", file, "--sample", 20).out.startswith("desk 2 (desk@2) is promoted, in")
    assert deskloop("data", "log", "base", "-c", file, "--sample", 20).code == 0
    for arguments in (
        ("models", "list"), ("models", "promote", "1"), ("models", "rollback"), ("chat",), ("report",), ("data", "log"),
        ("data", "show", "x@1"), ("data", "diff", "x@1", "x@2"), ("data", "trace", "x"), ("data", "gc"),
        ("data", "verify"), ("data", "keys", "list"), ("data", "keys", "rotate", "--yes"),
    ):  # fmt: skip
        refused = deskloop(*arguments, "-c", file, "--sample", 7)
        assert (refused.code, refused.out) == (2, "")
        assert "--sample 7: this sample has no store; available samples, in records: 20" in refused.err
    assert not (file.parent / "store-sample-7").exists()

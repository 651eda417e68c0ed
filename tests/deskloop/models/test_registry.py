"""Promotion is a transaction: model, tokenizer, data versions and report move together, and back (P12)."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.errors import ConfigError, DataError, DeskloopError
from deskloop.contract.hub import weights_digest
from deskloop.models import Model, Registry, registry, tracking
from deskloop.store.catalog import Parent, Version

ROOT = Path(__file__).parents[3]
WRITES = ("set_model_version_tag", "set_registered_model_alias", "delete_registered_model_alias")


class Shop:
    """Models of one name in a store; each test has a name of its own, as opening a database takes a second."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.registry = Registry(root)

    def published(self, number: int, content: str | None = None) -> tuple[Version, Path]:
        folder = self.root / "models" / self.name / f"f{number}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_text(content or f"weights {self.name} {number}")
        (folder / "tokenizer.json").write_text("{}")
        (folder / "config.json").write_text("{}")
        version = Version(
            self.name, number, "model", "models", "finetune", "finetune", f"fingerprint-{number}", "recipe",
            weights_digest(folder), 0, parents=[Parent("train", number, f"digest-{number}"), Parent("base", 1, "b")],
            libraries={"torch": "2.13.0"},
        )  # fmt: skip
        return version, folder

    def register(self, number: int, **changed: Any) -> Model:
        version, folder = self.published(number)
        arguments: dict[str, Any] = {
            "metrics": {"candidate": {"bits_per_byte": 2.0 + number, "not_measured": None}, "seconds": 3},
            "parameters": {"finetune": {"epochs": 3.0, "base": "tiny", "max_steps": None}},
            "history": [
                {"step": 1, "loss": 5.0, "validation_loss": None},
                {"step": 2, "loss": 4.0, "validation_loss": 4.5},
            ],
            "data": {"train": f"train@{number}", "test": "test@1"},
            "evaluation": f"evaluation@{number}",
            "report": f"run-{number}",
        }
        return self.registry.register(self.name, version, folder, **arguments | changed)

    def state(self) -> list[tuple[int, tuple[str, ...], int | None, str]]:
        """(version, aliases, previous, why it was rolled back) as another process would read it."""
        models = Registry(self.root).models(self.name)
        return [(one.version, one.aliases, one.previous, one.rolled_back.partition(" ")[2]) for one in models]

    def in_use(self) -> int:
        champion = self.registry.champion(self.name)
        assert champion is not None
        return champion.version


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def shop(store: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Shop(store, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[5:60])


@pytest.fixture
def three(shop: Shop) -> Shop:
    """Three versions, each promoted in its turn."""
    for number in (1, 2, 3):
        shop.register(number)
        shop.registry.promote(shop.name, number, "all gates passed")
    return shop


def test_nothing_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = Registry(tmp_path)
    assert (registry.models("desk"), registry.champion("desk"), registry.challenger("desk")) == ([], None, None)
    assert list(tmp_path.iterdir()) == []


def test_everything_hangs_on_the_version(shop: Shop) -> None:
    model = shop.register(1)
    assert (model.name, model.version, model.aliases) == (shop.name, 1, ("challenger",))
    assert model.folder == shop.root / "models" / shop.name / "f1"
    assert (model.catalog, model.evaluation, model.report) == (f"{shop.name}@1", "evaluation@1", "run-1")
    assert model.data == {"train": "train@1", "test": "test@1"}
    assert (model.fingerprint, model.promoted_at, model.previous) == ("fingerprint-1", None, None)
    assert shop.registry.challenger(shop.name) == model
    assert shop.registry.champion(shop.name) is None
    promoted = shop.registry.promote(shop.name, 1, "all gates passed")
    assert promoted.aliases == ("champion",)
    assert promoted.promoted_at is not None
    assert Registry(shop.root).champion(shop.name) == promoted
    assert shop.registry.challenger(shop.name) is None


def test_mlflow_shows_figures_curve_settings_and_lineage(shop: Shop) -> None:
    shop.register(1)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{shop.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(shop.name)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {
        "candidate/bits_per_byte": 3.0, "seconds": 3.0, "training/loss": 4.0, "training/validation_loss": 4.5,
    }  # fmt: skip
    curve = client.get_metric_history(run.info.run_id, "training/loss")
    assert [(one.step, one.value) for one in curve] == [(1, 5.0), (2, 4.0)]
    assert run.data.params == {"finetune.epochs": "3.0", "finetune.base": "tiny", "finetune.max_steps": "None"}
    version = client.get_model_version(shop.name, "1")
    assert (version.run_id, version.source) == (run.info.run_id, (shop.root / "models" / shop.name / "f1").as_uri())
    lineage = {
        "deskloop.data.train": "train@1", "deskloop.data.test": "test@1", "deskloop.digest.train": "digest-1",
        "deskloop.catalog": f"{shop.name}@1", "deskloop.library.torch": "2.13.0",
    }  # fmt: skip
    assert lineage.items() <= version.tags.items()
    assert lineage.items() <= run.data.tags.items()
    assert "mlflow.user" not in run.data.tags


def test_the_same_model_again_is_the_same_version(shop: Shop) -> None:
    first = shop.register(1)
    again = shop.register(1, evaluation="evaluation@7", report="run-7", metrics={"candidate": {"bits_per_byte": 9.0}})
    assert (again.version, again.evaluation, again.report) == (first.version, "evaluation@7", "run-7")
    assert (again.data, again.registered_at) == (first.data, first.registered_at)
    shop.registry.promote(shop.name, 1, "")
    assert shop.register(1).aliases == ("champion",)
    assert shop.registry._records(shop.name)[1] == {"champion": 1}
    assert len(shop.state()) == 1


def test_a_model_that_is_not_what_was_published_is_not_registered(shop: Shop) -> None:
    version, folder = shop.published(1)
    (folder / "model.safetensors").write_text("other")
    figures: dict[str, Any] = {"metrics": {}, "parameters": {}, "history": [], "data": {}}
    with pytest.raises(DataError, match=r"cannot be registered: the weights in .* are not those published"):
        shop.registry.register(shop.name, version, folder, **figures, evaluation="", report="")
    assert shop.state() == []


def test_a_metric_that_is_text_is_refused_without_showing_it(shop: Shop) -> None:
    with pytest.raises(TypeError, match=r"^metric candidate/reply is a str, not a number$"):
        shop.register(1, metrics={"candidate": {"reply": "Dear Jane"}})
    assert shop.register(1).version == 1  # leftovers of the failed attempt do not interfere
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{shop.root / 'mlflow.db'}")
    assert len(client.search_runs([client.get_experiment_by_name(shop.name).experiment_id])) == 1


def test_a_new_model_challenges_and_takes_over(shop: Shop) -> None:
    shop.register(1)
    shop.registry.promote(shop.name, 1, "first")
    shop.register(2)
    assert shop.state() == [(2, ("challenger",), None, ""), (1, ("champion",), None, "")]
    shop.registry.promote(shop.name, 2, "better")
    assert shop.state() == [(2, ("champion",), 1, ""), (1, (), None, "")]
    assert shop.registry.promote(shop.name, 2, "again").previous == 1


def test_rollback_goes_back_step_by_step_and_marks(three: Shop) -> None:
    went, came = three.registry.rollback(three.name, "rude replies")
    assert (went.version, went.aliases, came.version, came.aliases) == (3, (), 2, ("champion",))
    assert (came.evaluation, came.report, came.data["train"]) == ("evaluation@2", "run-2", "train@2")
    assert three.state() == [(3, (), 2, "rude replies"), (2, ("champion",), 1, ""), (1, (), None, "")]
    three.registry.rollback(three.name)
    assert three.in_use() == 1
    with pytest.raises(ConfigError, match="no champion before 1; choose a version"):
        three.registry.rollback(three.name)
    assert three.in_use() == 1
    assert three.registry.models(three.name)[1].rolled_back
    assert three.register(3).rolled_back.endswith("rude replies")


def test_by_hand_a_version_that_was_rolled_back_may_return(three: Shop) -> None:
    three.registry.rollback(three.name, "rude replies")
    back = three.registry.promote(three.name, 3, "they were not")
    assert (back.aliases, back.previous, back.rolled_back) == (("champion",), 2, "")
    assert three.registry.rollback(three.name)[1].version == 2


def test_an_old_version_that_is_promoted_again_is_rolled_back_the_same_way(three: Shop) -> None:
    three.registry.promote(three.name, 1, "by hand")
    assert three.state()[2] == (1, ("champion",), 3, "")
    assert [three.registry.rollback(three.name)[1].version for _ in range(2)] == [3, 2]
    with pytest.raises(ConfigError, match="no champion before 2"):  # the first of them rolled back 1
        three.registry.rollback(three.name)


def damage(folder: Path, part: str | None) -> None:
    if part:
        (folder / part).write_text("[]")
    else:
        shutil.rmtree(folder)


def test_a_damaged_model_does_not_come_into_use(shop: Shop) -> None:
    shop.register(1)
    shop.registry.promote(shop.name, 1, "")
    shop.register(2)
    for part in ("model.safetensors", "tokenizer.json", "config.json", None):
        damage(shop.root / "models" / shop.name / "f2", part)
        with pytest.raises(DataError, match=rf"model {shop.name} 2 .* cannot be promoted: .* `deskloop models"):
            shop.registry.promote(shop.name, 2, "")
        assert shop.in_use() == 1
        shop.published(2)
    shop.registry.promote(shop.name, 2, "")
    damage(shop.root / "models" / shop.name / "f1", None)
    with pytest.raises(DataError, match=rf"model {shop.name} 1 .* cannot be promoted: .* is missing or incomplete"):
        shop.registry.rollback(shop.name)
    assert shop.in_use() == 2


def test_what_is_not_there_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="has no version 1; available versions: none"):
        shop.registry.promote(shop.name, 1, "")
    shop.register(1)
    shop.register(2)
    with pytest.raises(ConfigError, match="has no version 3; available versions: 1, 2"):
        shop.registry.promote(shop.name, 3, "")
    with pytest.raises(ConfigError, match="has no champion"):
        shop.registry.rollback(shop.name)


class Killed(BaseException):
    """Ends the process, as far as deskloop can tell."""


def kill_at(shop: Shop, monkeypatch: pytest.MonkeyPatch, write: int) -> list[int]:
    """From here on the registry dies instead of making its `write`-th write; returns its count so far."""
    made = [0]
    client = shop.registry._client
    for name in WRITES:
        real = getattr(client, name)

        def guarded(*arguments: Any, real: Any = real) -> Any:
            made[0] += 1
            if made[0] == write:
                raise Killed
            return real(*arguments)

        monkeypatch.setattr(client, name, guarded)
    return made


GOALS: dict[str, list[tuple[int, tuple[str, ...], int | None, str]]] = {
    "promote": [(3, ("champion",), 2, ""), (2, (), 1, ""), (1, (), None, "")],
    "return": [(3, ("challenger",), None, ""), (2, (), 1, ""), (1, ("champion",), 2, "")],
    "rollback": [(3, ("challenger",), None, ""), (2, (), 1, "bad"), (1, ("champion",), None, "")],
}


@pytest.mark.parametrize("call", GOALS)
def test_killed_at_any_write_it_has_happened_or_not(call: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old = [(3, ("challenger",), None, ""), (2, ("champion",), 1, ""), (1, (), None, "")]
    for write in count(1):
        one = Shop(shop.root, f"{shop.name}-{write}")
        for number in (1, 2, 3):
            one.register(number)
            if number < 3:
                one.registry.promote(one.name, number, "")
        with monkeypatch.context() as patch:
            made = kill_at(one, patch, write)
            try:
                attempt(one, call)
            except Killed:
                assert one.state() in (old, GOALS[call])
            else:
                break  # it has fewer writes than that
        if one.state() == old:
            attempt(one, call)
        assert one.state() == GOALS[call]
        if call != "rollback":  # which would be another step back
            attempt(one, call)
        assert one.state() == GOALS[call]
    assert made[0] == {"promote": 5, "return": 4, "rollback": 3}[call]


def attempt(shop: Shop, call: str) -> None:
    if call == "rollback":
        shop.registry.rollback(shop.name, "bad")
    else:
        shop.registry.promote(shop.name, 3 if call == "promote" else 1, "")


def test_a_rollback_that_was_killed_leaves_no_mark_on_a_later_champion(
    three: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_at(three, patch, 2)
        with pytest.raises(Killed):
            three.registry.rollback(three.name, "bad")
    three.register(4)
    three.registry.promote(three.name, 4, "")
    assert three.state()[1] == (3, (), 2, "")


def test_a_process_that_is_really_killed(shop: Shop) -> None:
    for number in (1, 2):
        shop.register(number)
    shop.registry.promote(shop.name, 1, "")
    program = (
        "import os, sys; from pathlib import Path; from deskloop.models import Registry\n"
        "registry = Registry(Path(sys.argv[1]))\n"
        "registry._client.set_registered_model_alias = lambda *_: os.kill(os.getpid(), 9)\n"
        "registry.promote(sys.argv[2], 2, '')"
    )
    done = subprocess.run([sys.executable, "-c", program, shop.root, shop.name], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (-9, b"", b"")
    assert shop.in_use() == 1
    assert shop.registry.promote(shop.name, 2, "").previous == 1


def test_one_at_a_time(three: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback waits for a running promotion and then rolls back the version that it promoted."""
    noted, go_on = threading.Event(), threading.Event()
    real = Registry._take_over
    three.register(4)

    def slow(self: Registry, *arguments: Any) -> None:
        if not noted.is_set():
            noted.set()
            go_on.wait(10)
        real(self, *arguments)

    monkeypatch.setattr(Registry, "_take_over", slow)
    steps: list[tuple[str, Any]] = []
    promotion = threading.Thread(target=lambda: steps.append(("p", three.registry.promote(three.name, 4, "").version)))
    other = Registry(three.root)
    rollback = threading.Thread(target=lambda: steps.append(("r", [one.version for one in other.rollback(three.name)])))
    promotion.start()
    assert noted.wait(10)
    rollback.start()
    rollback.join(0.5)
    assert steps == []
    go_on.set()
    promotion.join(10)
    rollback.join(10)
    assert steps == [("p", 4), ("r", [4, 3])]


def test_waiting_for_the_lock_ends_with_an_error(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PATIENCE", 0.1)
    with shop.registry._locked(), pytest.raises(DeskloopError, match="another promotion has been running"):
        shop.registry.promote(shop.name, 1, "")


def test_the_store_may_be_moved(three: Shop, tmp_path: Path) -> None:
    shutil.copytree(three.root, tmp_path / "moved")
    moved = Registry(tmp_path / "moved")
    assert [one.folder.parent for one in moved.models(three.name)] == [tmp_path / "moved" / "models" / three.name] * 3
    assert moved.rollback(three.name)[1].version == 2
    assert three.in_use() == 3


def test_no_figure_of_a_reply_or_address_is_in_the_database(shop: Shop) -> None:
    """All that MLflow gets passes through `register`: names, numbers, digests."""
    shop.register(1)
    from mlflow import MlflowClient

    version = MlflowClient(f"sqlite:///{shop.root / 'mlflow.db'}").get_model_version(shop.name, "1")
    assert set(version.tags) == {
        "deskloop.catalog", "deskloop.fingerprint", "deskloop.weights", "deskloop.settings", "deskloop.folder",
        "deskloop.judged", "deskloop.data.train", "deskloop.data.test", "deskloop.digest.train",
        "deskloop.library.torch",
    }  # fmt: skip
    assert json.loads(version.tags["deskloop.judged"]) == {"evaluation": "evaluation@1", "report": "run-1"}


def test_making_the_database_is_quiet_and_sends_nothing(tmp_path: Path) -> None:
    program = (
        "import logging, socket, sys; from pathlib import Path\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from deskloop.models import Registry\n"
        "registry = Registry(Path(sys.argv[1]))\n"
        "registry._client\n"
        "assert registry.models('desk') == []\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "PYTEST"))}
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db"]


def test_a_server_is_given_no_path_of_this_disk(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would refuse one: https://github.com/mlflow/mlflow, `_validate_source_run` in mlflow/server/handlers.py."""
    monkeypatch.setattr(registry, "is_server", lambda uri: True)
    shop.register(1)
    (record,), _ = shop.registry._records(shop.name)
    assert record.source == f"runs:/{record.run_id}/model"
    assert shop.registry.promote(shop.name, 1, "").folder == shop.root / "models" / shop.name / "f1"


def test_an_unreachable_server_is_reported_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    with pytest.raises(DeskloopError, match=r"the model registry at http://127\.0\.0\.1:9 answered") as failed:
        Registry(tmp_path).models("desk")
    assert "secret" not in str(failed.value)
    assert tracking.without_credentials("sqlite:////store/mlflow.db") == "sqlite:////store/mlflow.db"

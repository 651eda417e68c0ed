"""A sample has no effect outside its own store; a store cannot take over another store's models (P12)."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.errors import ConfigError
from deskloop.models import Registry
from deskloop.pipeline.samples import check_sample, is_sample, sample_root, samples_of
from deskloop.store.store import Store
from tests.deskloop.models.test_registry import Shop
from tests.deskloop.pipeline.test_load import load, problems


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry that stores share, like a tracking server; a database is sufficient for that."""
    return f"sqlite:///{tmp_path_factory.mktemp('server') / 'shared.db'}"


def shop(root: Path, name: str) -> Shop:
    Store(root).prepare()
    Store(root).key()
    return Shop(root, name)


@pytest.mark.long
def test_a_sample_registers_and_promotes_in_its_own_registry_whatever_the_server(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    production = shop(tmp_path / "store", "isolated")
    production.register(1)
    production.registry.promote("isolated", 1, "by hand")
    before = production.registry.models("isolated")

    sample = shop(sample_root(tmp_path / "store", 200), "isolated")
    assert sample.registry.champion("isolated") is None
    assert sample.register(5).version == 1
    sample.registry.promote("isolated", 1, "by hand")
    assert production.registry.models("isolated") == before
    assert (sample.root / "mlflow.db").is_file()
    assert not (production.root / "mlflow.db").exists()

    from mlflow import MlflowClient

    experiment = MlflowClient(server).get_experiment_by_name("isolated")
    assert len(MlflowClient(server).search_runs([experiment.experiment_id])) == 1


def test_a_name_on_a_server_belongs_to_the_store_that_registered_it_first(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    first, second = shop(tmp_path / "first", "shared"), shop(tmp_path / "second", "shared")
    first.register(1)
    first.registry.promote("shared", 1, "by hand")
    attempts: list[Any] = [
        lambda: second.register(2),
        lambda: second.registry.champion("shared"),
        lambda: second.registry.promote("shared", 1, "by hand"),
        lambda: second.registry.rollback("shared"),
        lambda: second.registry.check_name("shared"),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match=r"already has a model 'shared' of another store\. Give this"):
            attempt()
    assert first.in_use() == 1
    assert len(first.registry.models("shared")) == 1
    second.registry.check_name("unused")


def test_a_store_keeps_its_name_through_a_move_and_a_rotated_key(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deskloop.store.keys import rotate

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    shop(tmp_path / "old", "moved").register(1)
    shutil.move(tmp_path / "old", tmp_path / "new")
    rotate(tmp_path / "new" / "keys")
    assert Shop(tmp_path / "new", "moved").register(2).version == 2


def test_a_model_that_was_registered_by_other_means_is_not_changed(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    from mlflow import MlflowClient

    MlflowClient(server).create_registered_model("foreign")
    with pytest.raises(ConfigError, match="already has a model 'foreign' that deskloop did not register"):
        shop(tmp_path / "store", "foreign").register(1)


def test_the_stores_own_database_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own = shop(tmp_path / "store", "own")
    own.register(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    assert [one.version for one in Registry(own.root).models("own")] == [1]


def test_no_pipeline_may_be_named_like_a_sample(tmp_path: Path) -> None:
    """`.deskloop/x-sample-5` would be both the store of the pipeline and that of a sample of `x`."""
    steps = [{"ingest": {"sources": [{"path": "log.jsonl"}]}}, "scrub"]
    message = "a name that ends in `-sample-<number>` is reserved for the stores of samples; choose another"
    assert problems(tmp_path, {"name": "x-sample-5", "steps": steps}) == [f"name: {message}"]
    assert problems(tmp_path, {"name": "x", "store": "data/x-sample-5", "steps": steps}) == [f"store: {message}"]
    assert not is_sample(load(tmp_path, {"name": "x-sample", "steps": steps}).store)


def test_available_samples_are_listed_if_one_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "x"
    with pytest.raises(ConfigError, match=r"in records: none\. Create it with: deskloop run -c p\.yaml --sample 5"):
        check_sample(root, 5, "p.yaml")
    for name in ("x-sample-20", "x-sample-100", "x-sample-a", "y-sample-7"):
        (tmp_path / name).mkdir()
    assert samples_of(root) == [20, 100]
    check_sample(root, 20, "p.yaml")
    with pytest.raises(ConfigError, match="available samples, in records: 20, 100"):
        check_sample(root, 5, "p.yaml")

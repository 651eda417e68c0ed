"""A URL is never taken for a local folder."""

from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.local_paths import check_local
from tasks import stages
from tests.cli.test_cli import Call, deskloop

__all__ = ["deskloop"]
URLS = ["s3://bucket/desk", "S3:/bucket", " s3://b", "s3:bucket", "file:///tmp/x", "gs://b", "abfss://c@a.x/y",
        "C:\\desk", "c:/desk", "memory://", "hdfs:", "~/desk", "~jane/desk"]  # fmt: skip


@pytest.mark.parametrize("place", URLS)
def test_a_store_elsewhere_is_refused_with_every_other_problem(place: str, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        f"name: x\nstore: {place!r}\nsede: 1\nsteps: [{{ingest: {{sources: [{{path: a.jsonl}}]}}}}, scrob]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_pipeline(file, stages())
    store, *others = caught.value.problems
    assert store.startswith("store: expected a")
    assert [problem.split(":")[0] for problem in others] == ["sede", "steps.1"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


def test_an_override_is_judged_too(tmp_path: Path, deskloop: Call) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text("name: x\nsteps: [{ingest: {sources: [{path: a.jsonl}]}}, scrub]\n")
    result = deskloop("plan", "-c", file, "--set", "store=s3://bucket/desk")
    assert (result.code, result.out) == (2, "")
    assert "store: expected a local path" in result.err
    assert "(s3:)" in result.err
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("place", ["", "store", ".deskloop/x", "/var/desk", "../x", "./s3:x", "a b/c:d", "x~"])
def test_local_paths_pass(place: str) -> None:
    assert check_local(place) == place


def test_init_writes_to_no_folder_named_like_a_url(
    tmp_path: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.jsonl").write_text('{"id": "1", "turns": [{"role": "customer", "text": "Zebra"}]}\n')
    monkeypatch.chdir(tmp_path)
    result = deskloop("init", "log.jsonl", "-o", "s3://bucket/pipeline.yaml")
    assert (result.code, result.out) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]

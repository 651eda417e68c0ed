"""Progress artifacts: which steps have one, how often it is updated, and what a server that refuses them changes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deskloop.contract.errors import ExpectationError
from flows import artifacts as sent
from flows import progress
from tests.flows.conftest import MODEL
from tests.flows.desk import Desk, example_lines
from tests.flows.test_own_flow import artifacts

pytestmark = pytest.mark.filterwarnings("default")


class Server:
    """Stands in for Prefect's functions and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.fails = 100.0, False
        self.calls: list[tuple[str, float, str]] = []
        self.lines: list[str] = []
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(progress, "create_progress_artifact", self.create)
        monkeypatch.setattr(progress, "update_progress_artifact", self.update)

    def create(self, percent: float, key: str, description: str) -> str:
        if self.fails:
            raise ConnectionError("quotes something")
        self.calls.append((key, percent, description))
        return key

    def update(self, artifact: str, percent: float, description: str) -> None:
        self.create(percent, artifact, description)


def test_updates_are_rare_and_the_last_one_always_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    shown = progress.StepProgress("my_desk", server.lines.append)
    for done in range(101):
        shown("scrub", 10 * done, 1000, "rows")
        server.now += 0.125
    assert server.calls == [
        *(("my-desk-scrub-progress", float(at), f"scrub: {10 * at} of 1,000 rows") for at in (8, 24, 40, 56, 72, 88)),
        ("my-desk-scrub-progress", 100.0, "scrub: 1,000 of 1,000 rows"),
    ]
    assert server.lines == []


def test_a_quick_step_and_one_without_an_end_have_no_artifact(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    shown = progress.StepProgress("desk", server.lines.append)
    for done in range(11):
        shown("normalize", done, 10, "rows")
        server.now += 0.05
    for done in range(100):
        shown("ingest", done, 0, "records")
        server.now += 1
    shown("encode", 0, 10, "rows")
    server.now += 60
    shown("encode", 10, 10, "rows")  # one partition: there was never anything to follow
    assert server.calls == []


def test_a_server_that_refuses_progress_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.fails = True
    shown = progress.StepProgress("desk", server.lines.append)
    for step in ("scrub", "encode"):
        for done in range(5):
            shown(step, done, 10, "rows")
            server.now += 3
    assert server.lines == ["  scrub        Prefect's server did not accept its progress (ConnectionError)"]


@pytest.mark.long
@pytest.mark.parametrize("until", ["normalize", "scrub"])
def test_a_run_ends_as_it_would_without_artifacts(
    until: str, tmp_path: Path, prefect: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.prepare import prepare

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("quotes something")

    monkeypatch.setattr(sent, "create_markdown_artifact", refuse)
    monkeypatch.setattr(sent, "create_link_artifact", refuse)
    desk = Desk(tmp_path, example_lines(40))
    desk.save()
    impossible = ["normalize.min_turns=40"]  # nothing is left, which a critical expectation refuses
    if until == "normalize":
        with pytest.raises(ExpectationError):
            prepare(str(desk.file), until=until, overrides=impossible)
    else:
        assert prepare(str(desk.file), until=until)["status"] == "completed"
    refused = [line.split() for line in capsys.readouterr().err.splitlines() if "no artifact in Prefect" in line]
    names = list(dict.fromkeys(["ingest", "scrub", until, "report"]))
    assert [words[0] for words in refused] == names
    assert {words[-1] for words in refused} == {"(ConnectionError)"}


@pytest.mark.parametrize(
    ("metrics", "table"),
    [
        (
            {"base": {"loss": 2.0, "bits_per_byte": 1.5}, "drift": {"psi": 0.2}},
            "| model | bits per byte |\n|---|---:|\n| base | 1.500 |\n\n",
        ),
        (
            {"drift": {"psi": 0.2, "kind": "x"}, "rows": 7},
            "| figure | value |\n|---|---:|\n| drift psi | 0.200 |\n| rows | 7.000 |\n\n",
        ),
        ({}, ""),
    ],
)
def test_an_evaluation_of_any_kind_has_an_artifact(
    metrics: dict[str, Any], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[str] = []
    monkeypatch.setattr(sent, "create_markdown_artifact", lambda text, *_, **__: created.append(text))
    version = SimpleNamespace(
        name="drift@1", kind="evaluation", rows=0, digest="d" * 64, details={"metrics": metrics}, parents=[]
    )
    made: Any = SimpleNamespace(versions=[version], decision=SimpleNamespace(action="compute", why="new"))
    run: Any = SimpleNamespace(store=SimpleNamespace(root=Path()), say=pytest.fail)
    run.pipeline = SimpleNamespace(settings=SimpleNamespace(name="desk"))
    step: Any = SimpleNamespace(name="drift")
    sent.describe_step(run, step, made)
    assert created[0].endswith(f"| `{'d' * 12}` |\n\n{table}Made from the sources.")


@pytest.mark.long
def test_partitions_and_training_report_to_a_real_server(
    tmp_path: Path, prefect: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.retrain import retrain

    monkeypatch.setattr(progress, "QUICK", 0.0)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    desk = Desk(tmp_path, example_lines(150))
    desk.extra = MODEL
    text = desk.save()
    assert text is None
    desk.file.write_text(desk.file.read_text().replace('"name": "desk"', '"name": "followed"'))
    retrain(str(desk.file))
    shown: dict[str, Any] = {name: value for name, value in artifacts().items() if name.startswith("followed")}
    assert {name: value for name, value in shown.items() if name.endswith("-progress")}.keys() >= {
        "followed-scrub-progress",
        "followed-finetune-progress",
    }
    assert float(shown["followed-scrub-progress"]) == float(shown["followed-finetune-progress"]) == 100.0
    assert len(shown) >= 11 + 2  # a page for each step, the report, and progress

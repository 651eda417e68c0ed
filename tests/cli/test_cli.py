"""The command line: quick, documented, one JSON document on stdout, and never a traceback."""

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
import pytest

import cli
import tasks
from deskloop import __version__
from deskloop.contract.errors import StepError
from deskloop.contract.progress import be_quiet
from tests.deskloop.toy import STAGES, Toy, suites

ROOT = Path(__file__).parents[2]
LOG = {"a": "one", "bb": "two!", "ccc": "three", "dddd": "four", "e": "broken"}
INGEST = {"ingest": {"sources": [{"path": "log.jsonl"}]}}


class Result(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def deskloop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """`deskloop ARGUMENTS` in this process; an exception that gets through is a failed test."""
    monkeypatch.delenv("DESKLOOP_DEBUG", raising=False)

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(int(ended.value.code or 0), out, err)

    yield call
    be_quiet(False)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's stages and their suites in place of the real ones."""
    monkeypatch.setattr(tasks, "stages", lambda: STAGES)
    suites(monkeypatch)


@pytest.fixture
def new(tmp_path: Path, stages: None) -> Path:
    """A toy's pipeline file; nothing was run."""
    Toy(tmp_path).pipeline()
    return tmp_path / "pipeline.yaml"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy's pipeline file; two versions of its data are published. Only to be read."""
    toy = Toy(tmp_path_factory.mktemp("toy"))
    with pytest.MonkeyPatch.context() as patch:
        suites(patch)
        toy.write(LOG)
        toy.run()
        toy.write({**LOG, "a": "ONE", "new": "row"})
        toy.run(longest=4)
    return toy.folder / "pipeline.yaml"


@pytest.fixture
def file(published: Path, stages: None) -> Path:
    return published


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from leaves(found, (*path, name))


ALL = dict(leaves(cli.cli))


def test_every_command_is_there() -> None:
    assert [path[0] for path in ALL if len(path) == 1] == list(cli.COMMANDS)
    below = {path[1] for path in ALL if path[:1] == ("data",) and len(path) == 2}
    assert below == {"backup", "diff", "erase", "gc", "keys", "log", "restore", "show", "trace", "verify"}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
@pytest.mark.parametrize("width", [80, 200])
def test_every_command_has_help_that_fits(
    path: tuple[str, ...], width: int, deskloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    result = deskloop(*path, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out == deskloop(*path, "-h").out
    lines = result.out.splitlines()
    assert lines[0].startswith(f"Usage: {' '.join(['deskloop', *path])} ")
    assert max(map(len, lines)) <= min(width, 110)
    assert "..." not in result.out.split("\n\n", 1)[1]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_option_says_what_it_does(path: tuple[str, ...]) -> None:
    assert (ALL[path].help or "").strip().split("\n")[0].endswith(".")
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert (parameter.help or "").endswith("."), parameter.name


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_says_what_they_do(name: str, deskloop: Call) -> None:
    assert re.search(rf"^  {name}\s+\S", deskloop("--help").out, re.MULTILINE)


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no README yet")
@pytest.mark.parametrize("path", [path for path, one in ALL.items() if not isinstance(one, click.Group)], ids=" ".join)
def test_the_readme_mentions_every_command(path: tuple[str, ...]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    words = " ".join(path)
    listed = path[0] == "data" and re.search(rf"deskloop data [a-z, |]*\b{path[-1]}\b", text)
    assert listed or re.search(rf"deskloop {words}\b", text)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "prefect", "pandas", "pyarrow", "numpy", "pydantic", "deltalake", "presidio_analyzer", "yaml")
    script = f"""
import sys
from cli import main
try:
    main(["--help"])
finally:
    print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Commands:" in done.stdout


def test_version(deskloop: Call) -> None:
    assert deskloop("--version") == (0, f"deskloop, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["prepre"], "No such command 'prepre'; did you mean 'prepare'?"),
        (["zzz"], "No such command 'zzz'; there are: init, run,"),
        (["data", "lgo"], "No such command 'lgo'; did you mean 'log'?"),
        (["data", "Trace"], "No such command 'Trace'; did you mean 'trace'?"),
        (["data", "keys", "rotat"], "No such command 'rotat'; did you mean 'rotate'?"),
        (["models", "lst"], "No such command 'lst'; did you mean 'list'?"),
        (["models", "--jsn"], "No such option '--jsn'"),
        (["run", "--smaple", "3"], "Did you mean one of: '--sample'"),
        (["run", "--untill", "x"], "No such option '--untill'"),
        (["run", "--sample", "0"], "0 is not in the range x>=1"),
        (["run", "--sample", "many"], "'many' is not a valid integer range"),
        (["data", "show"], "Missing argument 'DATASET[@VERSION]'"),
        (["data", "show", "x", "-n", "0"], "0 is not in the range x>=1"),
        (["scrub", "not-there.jsonl"], "No such file or directory"),
        (["init"], "Missing argument 'FILE'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], expected: str, deskloop: Call) -> None:
    result = deskloop(*arguments)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err


READERS = [
    ("run",), ("prepare",), ("plan",), ("report",), ("data", "log"), ("data", "show", "x"), ("data", "diff", "x", "y")
]  # fmt: skip


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_bad_pipeline_file_is_refused_by_every_command(
    command: tuple[str, ...], tmp_path: Path, deskloop: Call
) -> None:
    loaded = "prefect" in sys.modules  # by an earlier test
    missing = deskloop(*command, "-c", tmp_path / "pipeline.yaml")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith("deskloop: the command has 1 problem:\n  - there is no file ")
    (tmp_path / "pipeline.yml").write_text(json.dumps({"name": "x", "sede": "secret", "steps": [INGEST, "normalize"]}))
    assert "did you mean pipeline.yml?" in deskloop(*command, "-c", tmp_path / "pipeline.yaml").err
    bad = deskloop(*command, "-c", tmp_path / "pipeline.yml")
    assert (bad.code, bad.out) == (2, "")
    assert bad.err.splitlines()[0] == f"deskloop: {tmp_path / 'pipeline.yml'} has 3 problems:"
    assert "sede: unknown key; did you mean 'seed'?" in bad.err
    assert "secret" not in bad.err
    assert ("prefect" in sys.modules) == loaded


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from", "splt"], ["--from splt: there is no such step; did you mean 'split'?"]),
        (["--until", "finetun"], ["--until finetun: there is no such step; did you mean 'finetune'?"]),
        (["--from", "a", "--until", "b"], ["--from a: there is no such step", "--until b: there is no such step"]),
        (["--from", "split", "--until", "scrub"], ["--until scrub comes before --from split"]),
        (["--from", "evaluate", "--until", "encode"], ["--until encode comes before --from evaluate"]),
        (["--set", "normalize.max_char=1"], ["steps.normalize.max_char: unknown key; did you mean 'max_chars'?"]),
    ],
)
def test_steps_to_start_and_stop_at_are_checked_first(
    options: list[str], expected: list[str], tmp_path: Path, deskloop: Call
) -> None:
    steps = [INGEST, "scrub", "normalize", "dedupe", "split", "encode", "base", "finetune", "evaluate"]
    (tmp_path / "p.yaml").write_text(json.dumps({"name": "x", "steps": steps}))
    result = deskloop("run", "-c", tmp_path / "p.yaml", *options)
    assert (result.code, result.out) == (2, "")
    for line, start in zip(result.err.splitlines()[1:], expected, strict=True):
        assert line.startswith(f"  - {start}")
    assert not (tmp_path / ".deskloop").exists()


def test_prepare_has_no_model_steps(file: Path, deskloop: Call) -> None:
    result = deskloop("prepare", "-c", file, "--until", "finetune")
    assert (result.code, "--until finetune: there is no such step" in result.err) == (2, True)


DOCUMENT = {
    "run_id": "r", "status": "completed", "steps": {}, "model": None, "decision": None, "report": "page", "other": 1,
    "metrics": {name: {"bits_per_byte": 2.0} for name in ("base", "candidate")},
}  # fmt: skip


def as_flow(monkeypatch: pytest.MonkeyPatch, flow: Callable[..., dict[str, Any]]) -> None:
    """A function in place of Prefect's flows, and no server for it: these tests are about the command alone."""
    monkeypatch.setattr("cli.flow.connected", lambda: contextlib.nullcontext(lambda: None))
    monkeypatch.setitem(sys.modules, "flows.prepare", SimpleNamespace(prepare=flow))  # type: ignore[arg-type]


def test_options_reach_the_flow_and_json_is_one_document(
    file: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def flow(**options: Any) -> dict[str, Any]:
        given.update(options)
        print("a line of progress", file=sys.stderr)
        return DOCUMENT

    as_flow(monkeypatch, flow)
    result = deskloop(
        "prepare", "-c", file, "--json", "--set", "upper.longest=3", "--set", "seed=1", "--sample", 5,
        "--from", "upper", "--until", "copy", "--rebuild",
    )  # fmt: skip
    assert result.code == 0
    assert json.loads(result.out) == {key: DOCUMENT[key] for key in DOCUMENT if key != "other"}
    assert given == {
        "pipeline": str(file), "overrides": ["upper.longest=3", "seed=1"], "sample": 5, "begin": "upper",
        "until": "copy", "refit": [], "rebuild": True,
    }  # fmt: skip


def test_a_step_with_nothing_to_fit_cannot_be_refitted(file: Path, deskloop: Call) -> None:
    result = deskloop("prepare", "-c", file, "--refit", "upper")
    assert (result.code, "--refit upper: has nothing to fit" in result.err) == (2, True)


def test_a_missing_source_is_refused_before_anything_starts(file: Path, tmp_path: Path, deskloop: Call) -> None:
    result = deskloop("prepare", "-c", shutil.copy(file, tmp_path))  # without its log
    assert (result.code, "log.json does not exist" in result.err) == (2, True)
    assert "prefect" not in result.err


def test_a_run_ends_with_where_the_report_is(file: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    as_flow(monkeypatch, lambda **options: DOCUMENT)
    result = deskloop("prepare", "-c", file)
    assert (result.code, result.out) == (0, "report: page\n")
    assert "candidate    2.000 bits per byte" in result.err
    assert deskloop("prepare", "-c", file, "--quiet") == (0, "report: page\n", "")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (StepError("upper", "ValueError", ["a"]), 1, "deskloop: step 'upper' failed with ValueError"),
        (ValueError("secret words"), 1, "deskloop: unexpected ValueError; its message is withheld"),
        (KeyboardInterrupt(), 130, "deskloop: interrupted"),
    ],
)
def test_a_failed_run_has_an_exit_code_and_no_traceback(
    error: BaseException, code: int, told: str, file: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flow(**options: Any) -> dict[str, Any]:
        raise error

    as_flow(monkeypatch, flow)
    result = deskloop("prepare", "-c", file, "--json")
    assert (result.code, result.out) == (code, "")
    assert result.err.strip().startswith(told)
    assert "secret" not in result.err


def test_debug_shows_the_traceback(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(**options: Any) -> dict[str, Any]:
        raise ValueError("secret words")

    as_flow(monkeypatch, flow)
    monkeypatch.setenv("DESKLOOP_DEBUG", "")
    with pytest.raises(ValueError, match="secret words"):
        cli.main(["--debug", "prepare", "-c", str(file)])


def test_plan_says_what_a_run_would_do(file: Path, deskloop: Call) -> None:
    result = deskloop("plan", "-c", file, "--json")
    assert (result.code, result.err) == (0, "")
    assert [(one["step"], one["action"]) for one in json.loads(result.out)] == [
        ("log", "reuse"), ("upper", "reuse"), ("assign", "reuse"), ("copy", "reuse"),
    ]  # fmt: skip
    changed = deskloop("plan", "-c", file, "--set", "upper.longest=2")
    assert changed.out.splitlines()[1] == "  upper        compute  its options have changed"


def test_data_log_lists_versions_in_their_order(file: Path, deskloop: Call) -> None:
    everything = json.loads(deskloop("data", "log", "-c", file, "--json").out)
    names = [f"{one['dataset']}@{one['version']}" for one in everything]
    assert names[:3] == ["logged@1", "uppered@1", "assigned@1"]
    assert set(names[-3:]) == {"train_copied@2", "validation_copied@2", "test_copied@2"}
    upper = json.loads(deskloop("data", "log", "uppered", "-c", file, "--json").out)
    assert [(one["version"], one["rows"], one["rejected"], one["parents"]) for one in upper] == [
        (1, 4, 0, ["logged@1"]), (2, 4, 1, ["logged@2"]),
    ]  # fmt: skip
    (one,) = json.loads(deskloop("data", "log", "uppered@1", "-c", file, "--json").out)
    assert one == upper[0]
    text = deskloop("data", "log", "-c", file)
    assert text.out.splitlines()[0].startswith("logged@1 ")
    assert text.out.splitlines()[0].endswith("first run  <- sources")


def test_data_log_before_the_first_run(new: Path, deskloop: Call) -> None:
    assert deskloop("data", "log", "-c", new) == (0, "", "nothing is published yet\n")
    assert deskloop("data", "log", "-c", new, "--json") == (0, "[]\n", "")
    refused = deskloop("data", "log", "logged", "-c", new)
    assert (refused.code, "no dataset 'logged'; none is published yet" in refused.err) == (2, True)


def test_data_show_prints_rows(file: Path, deskloop: Call) -> None:
    result = deskloop("data", "show", "uppered@1", "-c", file, "-n", 2)
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [(row["row_id"], row["turns"][0]["text"]) for row in rows] == [("a", "ONE"), ("bb", "TWO!")]
    assert len(deskloop("data", "show", "uppered", "-c", file).out.splitlines()) == 4
    assert "_hash" not in result.out


def test_data_show_of_raw_is_refused(file: Path, deskloop: Call) -> None:
    refused = deskloop("data", "show", "logged@1", "-c", file)
    assert (refused.code, refused.out) == (2, "")
    assert (
        "logged@1 is in the raw zone and holds personal data; `deskloop data trace ROW_ID --raw` shows" in refused.err
    )


def test_data_trace_follows_a_row_back(file: Path, deskloop: Call) -> None:
    lines = deskloop("data", "trace", "bb", "-c", file).out.splitlines()
    assert [line.split()[:3] for line in lines if "@" in line][-2:] == [
        ["uppered@2", "upper", "bb"],
        ["logged@2", "log", "bb"],
    ]
    assert "    customer: TWO!" in lines
    shown = json.loads(deskloop("data", "trace", "bb", "-c", file, "--raw", "--json").out)
    assert shown[-1]["row"]["turns"][0]["text"] == "two!"


def test_data_gc_without_raw_days_says_that_rows_are_kept(file: Path, deskloop: Call) -> None:
    told = deskloop("data", "gc", "-c", file)
    assert (told.code, told.out) == (0, "raw rows are kept: the pipeline file sets no `raw_days`\n")
    assert deskloop("data", "gc", "-c", file, "--json").out == "{}\n"


def test_data_diff_compares_by_row(file: Path, deskloop: Call) -> None:
    result = deskloop("data", "diff", "uppered@1", "uppered@2", "-c", file, "--json")
    assert json.loads(result.out) == {"same": 3, "changed": [], "added": ["new"], "gone": ["ccc"]}
    back = deskloop("data", "diff", "uppered@2", "uppered@1", "-c", file)
    assert back.out.splitlines() == [
        "same             3", "changed          0  ", "added            1  ccc", "gone             1  new",
    ]  # fmt: skip
    same = deskloop("data", "diff", "uppered@2", "uppered", "-c", file, "--json")
    assert json.loads(same.out) == {"same": 4, "changed": [], "added": [], "gone": []}


@pytest.mark.parametrize("command", [("show", "uperred"), ("diff", "uppered@1", "uperred"), ("log", "uperred")])
def test_a_dataset_that_is_not_there_is_refused(command: tuple[str, ...], file: Path, deskloop: Call) -> None:
    result = deskloop("data", *command, "-c", file)
    assert (result.code, result.out) == (2, "")
    assert "no dataset 'uperred'; did you mean 'uppered'?" in result.err


def test_report_says_where_the_page_is(new: Path, deskloop: Call) -> None:
    none = deskloop("report", "-c", new)
    assert (none.code, none.out, "no run yet; start one with: deskloop run -c" in none.err) == (2, "", True)
    for run in ("20240101T000000-b", "20240102T000000-a"):
        page = new.parent / "store" / "reports" / run / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text("")
    assert deskloop("report", "-c", new) == (0, f"{page}\n", "")


def test_schema_is_one_document(deskloop: Call) -> None:
    result = deskloop("schema")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["title"] == "deskloop pipeline"


def test_init_writes_a_file_once(tmp_path: Path, deskloop: Call) -> None:
    turns = [{"role": "customer", "text": "Zebra"}, {"role": "agent", "text": "Zebra"}]
    (tmp_path / "log.jsonl").write_text(json.dumps({"id": "1", "turns": turns}))
    output = tmp_path / "new folder" / "pipeline.yaml"
    first = deskloop("init", tmp_path / "log.jsonl", "-o", output)
    assert first == (0, f"wrote {output}; review it, then: deskloop run -c '{output}'\n", "")
    written = output.read_text()
    assert "path: ../log.jsonl" in written
    again = deskloop("init", tmp_path / "log.jsonl", "-o", output)
    assert (again.code, again.out, output.read_text()) == (2, "", written)
    assert "exists already; name another file with --output" in again.err
    absent = deskloop("init", tmp_path / "lag.jsonl", "-o", tmp_path / "other.yaml")
    assert (absent.code, "'lag.jsonl' does not exist" in absent.err) == (2, True)
    blocked = deskloop("init", tmp_path / "log.jsonl", "-o", tmp_path / "log.jsonl" / "p.yaml")
    assert (blocked.code, "cannot be written: " in blocked.err) == (2, True)


def test_scrub_reads_and_writes_lines() -> None:
    command = [sys.executable, "-c", "from cli import main; main()", "scrub"]
    content = "".join(json.dumps({"id": n, "text": "write to jane.roe@example.com"}) + "\n" for n in range(3)) + "no\n"
    done = subprocess.run(command, input=content, capture_output=True, text=True, cwd=ROOT, check=True)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one.get("text") for one in out] == ["write to <EMAIL_ADDRESS_1>"] * 3 + [None]
    assert out[3]["error"] == "invalid_json"
    told = '4 lines, 3 values replaced (EMAIL_ADDRESS 3)\n1 lines were unusable; each became an "error"\n'
    assert done.stderr == told


def test_scrub_takes_the_options_of_a_pipeline(tmp_path: Path, deskloop: Call) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "name: x\nsteps: [{ingest: {sources: [{path: a.jsonl}]}}, {scrub: {patterns: {ORDER_ID: 'HD-[0-9]+'}}}]\n"
    )
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1, "text": "my hd-123 please"}\n'))
    done = deskloop("scrub", "-q", "-c", file, tmp_path / "in.jsonl.gz")
    assert json.loads(done.out)["text"] == "my <ORDER_ID_1> please"
    assert done.err == ""
    file.write_text("name: x\nsteps: [{ingest: {sources: [{path: a.jsonl}]}}]\n")
    assert "it has no scrub step" in deskloop("scrub", "-c", file, tmp_path / "in.jsonl.gz").err


def test_scrub_reads_recognizers_beside_the_pipeline_file(
    tmp_path: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "own.yaml").write_text(
        "recognizers: [{name: o, supported_entity: ORDER_ID, patterns: [{name: o, regex: 'HD-\\d{6}', score: 0.9}]}]\n"
    )
    steps = "[{ingest: {sources: [{path: a.jsonl}]}}, {scrub: {recognizers: own.yaml}}]"
    (desk / "pipeline.yaml").write_text(f"name: x\nsteps: {steps}\n")
    (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "my HD-123456 please"}\n')
    monkeypatch.chdir(tmp_path)
    done = deskloop("scrub", "-q", "-c", "desk/pipeline.yaml", "in.jsonl")
    assert (done.err, json.loads(done.out)["text"]) == ("", "my <ORDER_ID_1> please")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As with `| head`: a pipe that nobody reads."""
    unread, output = os.pipe()
    os.close(unread)
    command = [sys.executable, "-c", "from cli import main; main()", "schema"]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(output)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("", 1)], ids=["no", "end of input"])
def test_a_question_that_is_not_confirmed_changes_nothing(
    answer: str, code: int, new: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    result = deskloop("data", "keys", "rotate", "-c", new)
    assert (result.code, result.out) == (code, "")
    assert result.err.rstrip().endswith("deskloop: not confirmed; nothing was changed")
    assert "interrupted" not in result.err


def test_ctrl_c_at_a_question_changes_nothing(new: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("click.termui.visible_prompt_func", pressed)
    result = deskloop("data", "keys", "rotate", "-c", new)
    assert (result.code, "not confirmed; nothing was changed" in result.err) == (130, True)
    assert "interrupted" not in result.err


def test_scrub_reads_regular_files_within_limits(tmp_path: Path, deskloop: Call) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    (tmp_path / "y.jsonl.gz").write_bytes(gzip.compress(b"\n" * 10_000_000))
    for name, words in (("x.jsonl", "x.jsonl is a named pipe; only regular files are read"),
                        ("y.jsonl.gz", "unpack it and pipe it into `deskloop scrub -`")):  # fmt: skip
        done = deskloop("scrub", str(tmp_path / name))
        assert (done.code, done.out) == (2, "")
        assert words in done.err

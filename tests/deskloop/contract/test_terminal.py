"""Control characters in names, ids, keys and roles never reach a terminal raw."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import main
from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.progress import say
from deskloop.contract.terminal import visible, visible_lines
from deskloop.engine.decide import Decision
from deskloop.engine.workspace import Made
from deskloop.run.session import _line
from deskloop.store.catalog import Version

ROOT = Path(__file__).parents[3]
EVIL = "\x1b[2J\x1b]0;owned\x07\r\u202egnp.\u2066\x9b31m\x7f\n"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def test_controls_are_escaped_and_words_are_not() -> None:
    assert visible("a\x1b[2J\n\u202eb\ud800\U000e0041") == r"a\u001b[2J\u000a\u202eb\ud800\udb40\udc41"
    for text in (
        "na\u00efve caf\u00e9\t1",
        "\u4f60\u597d",
        "\U0001f468\u200d\U0001f469",
        "\u0645\u0631\u062d\u0628\u0627",
        "<PERSON_1>",
    ):
        assert visible(text) == text
    assert visible_lines("a\nb\r") == "a\nb" + r"\u000d"


@given(st.text(st.characters()))
def test_no_text_is_raw_and_json_stays_the_same(text: str) -> None:
    assert not RAW.search(visible(text))
    assert "\n" not in visible(text)
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "surrogatepass"
    )


def test_errors_and_progress_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    told = capsys.readouterr().err + str(ConfigError([EVIL, "b"], EVIL)) + str(InputError(f"{EVIL} is no file"))
    assert not RAW.search(told)
    assert str(ConfigError([EVIL, "b"], "x")).count("\n") == 2  # the heading and two problems


def test_a_step_tells_why_it_rejected_rows() -> None:
    reasons = {"duplicate_id": 2, "invalid_encoding": 180, "unknown_role": 5, EVIL: 1}
    version = Version(
        dataset="ingested", version=1, kind="dataset", zone="raw", step="ingest", stage="ingest", fingerprint="",
        recipe="", digest="", rows=15, rows_in=203, rows_out=15, rejected=188, reasons=reasons,
    )  # fmt: skip
    line = _line("ingest", Made([version], Decision("compute", "first run", "")))
    assert line.endswith("rejected: invalid_encoding 180, unknown_role 5, duplicate_id 2, other reasons 1")


def test_the_commands_show_names_of_files_and_keys_safely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = "log\x1b[2J\u202e\x07"
    Path(f"{evil}.jsonl").write_bytes(b"[]\n")
    Path(f"{evil}.yaml").write_text('"\\e[2Jkey": 1\n"\\u202Esteps": []\n')
    for arguments in (
        ["init", f"{evil}.jsonl"],
        ["init", f"{evil}-absent.jsonl"],
        ["plan", "-c", f"{evil}.yaml"],
        ["plan", f"--{evil}"],
        ["scrub", f"{evil}-absent.jsonl"],
        [evil],
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        told = "".join(capfd.readouterr())
        assert "2J" in told
        assert not RAW.search(told)


def test_every_line_of_the_command_line_goes_through_echo_or_is_json() -> None:
    for path in sorted((ROOT / "deskloop" / "cli").glob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "click.echo(" in line or "click.secho(" in line:
                assert "json.dumps(" in line, f"{path.name}:{number}: use deskloop.contract.terminal.echo"
                assert "ensure_ascii=False" not in line, f"{path.name}:{number}: use deskloop.contract.terminal.echo"

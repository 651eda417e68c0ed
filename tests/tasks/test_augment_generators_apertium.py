"""Back-translation by the Apertium that is installed, and by one that fails."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.augment.generators import build, equipment
from tasks.augment.generators.apertium import translate
from tasks.augment.generators.config import BackTranslationConfig
from tasks.augment.generators.spans import intact

CONFIG = BackTranslationConfig(kind="back_translation", protect=("standing desk",))
SIGNS = "[]\\^$/{}<>@*#~+_….  "
CONTROL = ["\n", "\t", "\r", "\x00", "\x1b", "\u2028", "\u200b"]
installed = pytest.mark.skipif(None in equipment(CONFIG).values(), reason="needs Apertium with eng-spa")


@installed
def test_turns_come_back_changed_and_whole() -> None:
    generator = build(CONFIG)
    assert generator is not None
    texts = [
        "What is going on with the Terra standing desk for <PERSON_1>?\n\n  My order NV-2081 has not arrived!  ",
        "i need the money for the package",
        "NV-2081\n<PERSON_1>",
        "qwzx qwzx",
        "",
    ]
    made = generator(texts, [0] * 5)
    first, second, *rest = made
    assert rest == [None, None, None]
    assert first is not None
    assert first != texts[0]
    assert "Terra standing desk" in first
    assert "<PERSON_1>" in first
    assert first.splitlines()[1:] == ["", "  My order NV-2081 has not arrived!  "]
    assert second is not None
    assert second == second.lower()
    assert (generator.keyed, generator.neural) == (False, False)
    assert generator(texts[::-1], [0] * 5) == made[::-1]


@installed
def test_a_slip_that_is_a_word_in_the_other_language_stays() -> None:
    generator = build(CONFIG)
    assert generator is not None
    (made,) = generator(["what is going on with the das of my order?"], [0])
    assert made is not None
    assert "das" in made.split()


@installed
def test_version_and_data_are_its_equipment() -> None:
    (name, version), *more = equipment(CONFIG).items()
    assert not more
    assert name == "apertium eng-spa"
    assert version is not None
    assert "3." in version
    generator = build(CONFIG)
    assert generator is not None
    assert version in generator.identity


@installed
@given(
    texts=st.lists(
        st.lists(
            st.sampled_from(
                ["where", " is ", "my", "Order", "<A_1>", "NV-1", "😡", "é", "&amp;", "--", "'s", *SIGNS, *CONTROL]
            ),
            max_size=14,
        ).map("".join),
        max_size=4,
    )
)
@settings(deadline=None, max_examples=40)
def test_any_text_passes(texts: list[str]) -> None:
    generator = build(CONFIG)
    assert generator is not None
    for text, made in zip(texts, generator(texts, [0] * len(texts)), strict=True):
        assert made is None or (made != text and intact(text, made) and made.count("\n") == text.count("\n"))


@installed
def test_signs_of_its_stream_format_do_not_stop_it() -> None:
    signs = [*SIGNS, *CONTROL[1:], "^ ^", "^a/b<n>$", "[^", "\\^"]
    texts = [f"what is going on {sign} with my order{sign}" for sign in signs]
    generator = build(CONFIG)
    assert generator is not None
    assert None not in generator(texts, [0] * len(texts))


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program called apertium that does what `script` says."""
    program = folder / "apertium"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_line_that_it_fails_on_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "input=$(mktemp); cat > $input; grep -aq bad $input && exit 1; cat $input", monkeypatch)
    lines = ["one\n", "two\n", "bad\n", "three\n"]
    assert translate(lines, "eng-spa", marks=False) == ["one\n", "two\n", None, "three\n"]


@pytest.mark.parametrize(
    "script", ["exit 1", "cat > /dev/null", "tr -d '\\000'", "cat; printf 'more\\000'", "head -c 6"]
)
def test_answers_that_do_not_match_count_for_nothing(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, script, monkeypatch)
    assert translate(["one\n", "two\n"], "eng-spa", marks=True) == [None, None]


def test_one_that_hangs_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.augment.generators import apertium

    stand_in(tmp_path, f"sh -c 'echo $$ > {tmp_path}/child; sleep 60; true' | cat", monkeypatch)
    monkeypatch.setattr(apertium, "SECONDS", 0.5)
    monkeypatch.setattr(apertium, "SECONDS_A_LINE", 0.0)
    began = time.monotonic()
    assert translate(["one\n"], "eng-spa", marks=True) == [None]
    assert time.monotonic() - began < 10
    child = int((tmp_path / "child").read_text())
    while time.monotonic() - began < 10 and alive(child):
        time.sleep(0.05)
    assert not alive(child)


def alive(process: int) -> bool:
    """Whether a process is there and no zombie; one that was killed may be on its way out for a moment."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False

"""Pipeline and recognizer files that would hang or fill a machine are refused."""

import os
from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError
from deskloop.pipeline.yaml_file import load_yaml, read_document
from tasks.scrub.patterns.file import check, equipment

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAUGHS, "aliases expanded it holds more than 50,000 values"),
        (MERGES, "aliases expanded it holds more than 50,000 values"),
        ("a: &a [*a]\n", "aliases expanded it holds more than 50,000 values"),
        ("#" * 200_001, "is longer than 200,000 bytes"),
        ("[" * 50_000, "nested too deeply"),
    ],
)
def test_a_pipeline_file_that_stands_for_too_much_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "pipeline.yaml").write_text(content)
    with pytest.raises(ConfigError, match=words) as error:
        read_document(tmp_path / "pipeline.yaml")
    assert error.value.exit_code == 2


def test_aliases_and_merges_of_an_ordinary_file_are_read() -> None:
    assert load_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n") == {
        "a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]
    }  # fmt: skip
    assert load_yaml("") is None


@pytest.mark.parametrize("read", [read_document, lambda path: check(str(path)), lambda path: equipment(str(path))])
def test_a_named_pipe_is_refused_at_once(tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(Exception, match=r"x\.yaml is a named pipe; only regular files are read"):
        read(tmp_path / "x.yaml")


def test_a_device_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"/dev/zero is a device; only regular files are read"):
        read_document(Path("/dev/zero"))


@pytest.mark.parametrize(
    "content",
    ["recognizers: [" + "[" * 100_000, LAUGHS, "x" * 5_000_001, "a: &a [*a]", "a: 2024-02-31"],
)
def test_a_recognizer_file_that_stands_for_too_much_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"scrub\.recognizers"):
        check(str(tmp_path / "r.yaml"))

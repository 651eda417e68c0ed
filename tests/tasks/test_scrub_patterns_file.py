from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError
from tasks.scrub import ScrubConfig
from tasks.scrub.detect import detect
from tasks.scrub.patterns.file import check, equipment
from tasks.scrub.span import Span

GOOD = r"""
recognizers:
  - name: Order number
    supported_entity: ORDER_ID
    patterns: [{name: order, regex: 'HD-\d{6}', score: 0.2}]
    context: [order]
  - name: Staff
    supported_entity: STAFF
    deny_list: [Rosalind Q. Franklin]
  - name: Kunde
    supported_language: de
    supported_entity: KUNDE
    patterns: [{name: kunde, regex: 'KD\d+', score: 0.9}]
"""


def test_recognizers_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD)
    options = {"detector": "patterns", "recognizers": "own.yaml", "keep": [".+"]}
    config = ScrubConfig.model_validate(options, context=tmp_path)
    texts = ["order HD-123456", "HD-123456", "rosalind q. franklin", "KD7"]
    check(str(tmp_path / "own.yaml"))
    assert detect(texts, config) == [[], [], [Span(0, 20, "STAFF", 1.0)], []]
    assert detect(texts, config.model_copy(update={"keep": ()})) == [
        [Span(6, 15, "ORDER_ID", 0.55)],
        [],
        [Span(0, 20, "STAFF", 1.0)],
        [Span(0, 3, "KUNDE", 0.9)],
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("recognizers: [", "it is not valid YAML"),
        ("[]", "expected a mapping"),
        ("recognizers: []", "expected a mapping"),
        ("recognizers: [{name: CreditCardRecognizer, type: predefined}]", "number 1 has neither"),
        ("recognizers: [{supported_entity: A, name: n, deny_list: Rosalind}]", "number 1 is rejected by Presidio"),
        (
            "recognizers: [{supported_entity: A, name: n, patterns: [{name: Rosalind, regex: '(', score: 1}]}]",
            "rejected",
        ),
        ("recognizers: [{supported_entity: A, name: n, patterns: [{name: p, regex: 'b*', score: 1}]}]", "empty text"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=problem) as error:
        check(str(tmp_path / "own.yaml"))
    assert str(tmp_path / "own.yaml") in str(error.value)
    assert "Rosalind" not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read it"):
        check(str(tmp_path / "own.yaml"))
    config = ScrubConfig.model_validate({"recognizers": "own.yaml"}, context=tmp_path)
    assert equipment(config.recognizers) == {"recognizers own.yaml": None}
    assert equipment("") == {}
    check("")

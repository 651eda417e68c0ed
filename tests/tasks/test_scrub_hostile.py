"""Scrub on hostile texts: it finishes in linear time and still replaces personal values."""

import json
import random
import time

import pandas as pd
import pytest

from benchmarks.hostile import KINDS
from deskloop.contract.errors import DataError
from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.contract.stage import Context
from tasks.scrub import ScrubConfig, adapted, scrub
from tasks.scrub.known import LONGEST, Value, find_known, key
from tasks.scrub.near import Near
from tasks.scrub.stream import scrub_lines

ASKED = "What is your name, address, password and account number?"
KNOWN = {"PERSON": ["Mia Lopez"], "PHONE_NUMBER": ["+12125550187"], "ORDER": ["HD-123 x"]}


def said(text: str, asked: str = ASKED) -> str:
    """Return the customer's answer, scrubbed."""
    turns = [{"role": "agent", "text": asked}, {"role": "customer", "text": text}]
    # Not through Arrow, which rejects lone surrogates.
    raw = pd.DataFrame({"conversation_id": ["c"], "turns": [turns], "metadata": [{}], "known": [KNOWN]})
    return str(scrub(raw, ScrubConfig(), Context("scrub"))["turns"][0][1]["text"])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_any_text_of_any_kind_is_scrubbed(kind: str) -> None:
    """Short texts of every kind; `python -m benchmarks.scrub --sizes --whole` measures long ones."""
    out = said(f"mail jane.doe@mailbox.org {KINDS[kind](1_500)}\nmail jane.doe@mailbox.org, phone 212-555-0187 Mia")
    assert "jane.doe" not in out
    assert "555-0187" not in out


# Texts that once took quadratic time or more.
@pytest.mark.parametrize("kind", ["a whole name", "one name", "Chinese", "letters and digits", "hexadecimal"])
def test_time_is_linear(kind: str) -> None:
    def seconds(length: int) -> float:
        text = KINDS[kind](length)
        began = time.process_time()
        said(text)
        return time.process_time() - began

    seconds(1_000)
    assert min(seconds(60_000) for _ in range(2)) < 10 * max(seconds(15_000), 0.1)


@pytest.mark.parametrize("seed", range(20))
def test_random_characters_cause_no_error(seed: int) -> None:
    draw = random.Random(seed)
    alphabet = [*map(chr, range(32)), "\x7f", "\u0301", "\u200d", "\ufeff", "\U0001f468", *"<>&#;@%\\u0PERSON_1 ab.-"]
    alphabet += ["\ud800", "\udfff", "\U000e0041", "&#x0;", "&#xd800;", "&#1114112;", "<PERSON_1>", "jane@mailbox.org"]
    text = "".join(draw.choice(alphabet) for _ in range(400))
    once = said(text)
    assert said(once) == once


def test_a_lone_surrogate_in_a_line_is_an_error_of_that_line() -> None:
    lines = [rb'{"id": 1, "text": "a \ud800 b"}', b'{"id": 2, "text": "jane@mailbox.org \\u0000"}']
    assert [json.loads(line).get("error") for line in scrub_lines(lines, ScrubConfig())] == ["invalid_json", None]


@pytest.mark.parametrize("field", ["patterns", "keep"])
def test_a_pattern_that_explodes_stops_the_step(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted, "PATTERN_SECONDS", 0.05)
    pattern = r"(?:a|aa)+!\d"
    given = {"patterns": {"SLOW": pattern}} if field == "patterns" else {"keep": [pattern]}
    line = json.dumps({"id": 1, "text": "a" * 60 + "! 7 jane@mailbox.org"}).encode()
    with pytest.raises(DataError, match="simplify it"):
        list(scrub_lines([line], ScrubConfig.model_validate(given)))


@pytest.mark.parametrize(
    "text",
    [
        "Здравствуйте, моя почта ivan.petrov@pochta.ru, телефон +7 916 123-45-67, спасибо",
        "مرحبا، بريدي الإلكتروني sami.k@barid.com ورقم هاتفي +966 50 123 4567 شكرا",
        "你好，我的邮箱是li.wei@youjian.cn，电话是+86 138 0013 8000，谢谢",
        "電話は090-1234-5678、メールtaro@mail.jp",
        "안녕하세요 전화 +82 10-1234-5678 메일 kim@naver.com입니다",
        "मेरा नंबर +91 98765 43210 है, ईमेल ravi@dak.in",
    ],
)
def test_other_scripts(text: str) -> None:
    out = said(text, "Hello")
    assert "EMAIL_ADDRESS" in out
    assert "PHONE_NUMBER" in out
    assert "@" not in out
    assert not any(map(str.isdigit, PLACEHOLDER.sub("", out)))


def test_a_very_long_value_is_found_as_written() -> None:
    long = "Zeta9 " * (LONGEST // 6 + 1)
    (found,) = find_known([f"so {long.lower()} it is"], [Value("NOTE", long.strip(), key(long))])
    assert [(span.start, span.end) for span in found] == [(3, 3 + len(long.strip()))]


def test_a_very_long_word_is_no_misspelling() -> None:
    assert Near(["jonathan"]).word("x" * 100_000 + "an") == "x" * 100_000 + "an"

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scrub.known import NEAR, SCORE, find_known, find_values, known_values
from tasks.scrub.near import Near, one_edit
from tasks.scrub.variants import birth_dates


def found(text: str, **known: list[str]) -> list[str]:
    (spans,) = find_known([text], known_values(known))
    return sorted({text[span.start : span.end] for span in spans})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Raghavan, Priya", ["Raghavan, Priya"]),
        ("PRIYA raghavan", ["PRIYA raghavan"]),
        ("p. raghavan or priya r", ["p. raghavan", "priya r"]),
        ("raghvan, raghavvan, ragahvan, raghaven", ["raghaven", "raghavvan", "raghvan", "ragahvan"]),
        ("priya ragavan", ["priya ragavan"]),
        ("a prayer and a pray", []),
        ("rghvan", []),
    ],
)
def test_a_name_in_parts_reordered_and_misspelled(text: str, expected: list[str]) -> None:
    assert found(text, PERSON=["Priya Raghavan"]) == sorted(expected)


def test_an_english_word_is_no_misspelled_name() -> None:
    assert found("the marches of a mason, a stoned brow", PERSON=["Jason Stone", "Anna Browne"]) == []
    assert found("mr jaosn stnoe", PERSON=["Jason Stone"]) == ["jaosn stnoe"]


def test_short_names_that_are_words_need_their_capital() -> None:
    assert found("may i go to May? the ray of al", PERSON=["Al May", "Li Ray"]) == ["May"]


@pytest.mark.parametrize(
    "text",
    ["12/05/1980", "5/12/80", "12.5.80", "May 12 1980", "may 12th, 1980", "12th of may 80", "12051980", "1980-05-12"],
)
def test_birth_dates_in_any_notation(text: str) -> None:
    assert found(f"born {text}!", date_of_birth=["1980-05-12"]) == [text]


def test_a_number_is_no_birth_date() -> None:
    assert found("it was 1280 or 12580 at 5 12, in may 1980", dob=["1980-05-12"]) == []
    assert list(birth_dates("unknown")) == []
    assert set(birth_dates("12 May 1980")) == set(birth_dates("1980-05-12"))


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        ("+1 201 555 0100", "(201) 555-0100", ["201) 555-0100"]),
        ("+1 201 555 0100", "0012015550100", ["0012015550100"]),
        ("020 7946 0018", "+442079460018", ["442079460018"]),
        ("020 7946 0018", "20 7946 0018", ["20 7946 0018"]),
        ("+44 20 7946 0018", "02079460018", ["02079460018"]),
        ("+44 20 7946 0018", "020 7946 0019", []),
    ],
)
def test_a_phone_number_with_and_without_its_country(known: str, text: str, expected: list[str]) -> None:
    assert found(text, phone=[known]) == expected


def test_an_email_by_its_local_part_and_spoken() -> None:
    known = {"email": ["wei.edwards36@example.net", "info@example.net"]}
    assert found("wei.edwards36 here, or WEIEDWARDS36", **known) == ["WEIEDWARDS36", "wei.edwards36"]
    assert found("wei dot edwards36 at example dot net", **known) == ["wei dot edwards36 at example dot net"]
    assert found("for your info, an example", **known) == []


def test_long_numbers_with_one_digit_wrong_but_no_other_order() -> None:
    assert found("8573189 85731809 857318900 85731", account_number=["85731890"]) == sorted(
        ["8573189", "85731809", "857318900"]
    )
    assert found("85731891 8573189", order_id=["85731890"]) == []
    assert found("hunter3x hunter2 xhunter", password=["xhunter2"], PIN=["12345678"]) == []


def test_exact_matches_score_higher_and_all_have_the_key_of_their_value() -> None:
    (spans,) = find_values(["raghavan, raghvan, priya ragavan"], known_values({"PERSON": ["Priya Raghavan"]}))
    assert [(span.score, key) for span, key in spans] == [
        (SCORE, "priyaraghavan"),
        (NEAR, "priyaraghavan"),
        (NEAR, "priyaraghavan"),
    ]


letters = st.text("abcdé", min_size=5, max_size=9)


@settings(max_examples=300, deadline=None)
@given(letters, st.integers(0, 8), st.sampled_from("abcdéx"), st.sampled_from(["insert", "delete", "change", "swap"]))
def test_every_single_edit_is_found(word: str, at: int, letter: str, edit: str) -> None:
    at = at % (len(word) - 1)
    edited = {
        "insert": word[:at] + letter + word[at:],
        "delete": word[:at] + word[at + 1 :],
        "change": word[:at] + letter + word[at + 1 :],
        "swap": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    }[edit]
    near = Near([word])
    assert near.word(edited) in (word, edited)
    if edited != word:
        assert one_edit(edited, word)
        assert one_edit(word, edited)
        assert near.word("zz" + edited) == "zz" + edited
        from tasks.normalize.english import dictionary

        ranks, casual = dictionary()
        assert near.word(edited) == (edited if edited in ranks or edited in casual else word)


@settings(max_examples=200, deadline=None)
@given(letters, letters)
def test_more_than_one_edit_is_not_found(one: str, other: str) -> None:
    changed = Near([one]).word(other)
    assert changed == other or one_edit(one, other)


@pytest.mark.parametrize("unit", ["a", "raghava ", "1 ", "0.", "111", "ja ne "])
def test_time_is_linear(unit: str) -> None:
    values = known_values({"PERSON": ["Priya Raghavan"], "phone": ["+1 201 555 0100"], "dob": ["1980-05-12"]})

    def seconds(length: int) -> float:
        said = (unit * length)[:length]
        began = time.process_time()
        find_known([said], values)
        return time.process_time() - began

    seconds(1_000)
    # The minimum of two runs, because a garbage collection may interrupt one.
    assert min(seconds(200_000) for _ in range(3)) < 8 * max(seconds(50_000), 0.05)


def test_a_short_part_of_a_declared_name_is_found_unless_it_is_a_word() -> None:
    assert found("Thanks, Li. Dear Ji-woo, so do I", PERSON=["Li Do", "Ji-woo Park"]) == ["Ji", "Li", "woo"]


def test_a_declared_name_is_found_as_mojibake_that_repair_leaves_alone() -> None:
    assert found("Dear HÃ¥kansson and Wei ZieliÅ„ski", PERSON=["Ana Håkansson", "Wei Zieliński"]) == [
        "HÃ¥kansson",
        "Wei ZieliÅ„ski",
    ]

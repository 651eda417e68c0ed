"""Properties of scrub on any text: planted values are replaced, and scrubbing is idempotent."""

import random
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.contract.schema import RAW_CONVERSATION, conversations
from deskloop.contract.stage import Context
from tasks.scrub import ScrubConfig, placeholders, scrub
from tasks.scrub.decode import decode
from tasks.scrub.detect import detect
from tasks.scrub.stream import scrub_lines

CONTEXT = Context("scrub", key=b"k" * 32)
Said = list[tuple[str, str]]  # (role, text)

# Type -> values; sentences with them; the question that they answer.
PLANTED: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "e-mail": (
        ("jane.doe@mailbox.org", "pkowalski_82@firma.pl"),
        ("my e-mail is {}", "write to {} please", "send it to {}, thanks"),
        "What is your e-mail address?",
    ),
    "phone": (
        ("(212) 555-0187", "+44 7911 123456", "646-253-1190"),
        ("my phone number is {}", "ring {} please", "you can reach me on {}"),
        "Can I have your phone number?",
    ),
    "card": (
        ("4111 1111 1111 1111", "5500-0055-5555-5559"),
        ("my card number is {}", "i paid with {} yesterday"),
        "What is your card number?",
    ),
    "IBAN": (
        ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"),
        ("my iban is {}", "please refund to {}"),
        "What is your IBAN?",
    ),
    "SSN": (("536-90-4399",), ("my ssn is {}", "social security number: {}"), "Please provide your SSN."),
    "IP": (
        ("203.0.113.77", "2001:db8:85a3::8a2e:370:7334"),
        ("i connect from {}", "ip {} was blocked"),
        "What is your IP address?",
    ),
    "person": (
        ("Marta Kowalczyk", "Deshawn Whitfield"),
        ("my name is {}", "this is {} speaking", "Name: {}"),
        "May I have your full name?",
    ),
    "address": (
        ("4812 Maple Ridge Drive, Columbus, OH 43215", "17 Rue Cardinet, Flat 3B"),
        ("i live at {}", "my address is {}", "ship it to {} please"),
        "What is your address?",
    ),
    "account": (
        ("88214907", "4471902236"),
        ("my account number is {}", "acct no. {}"),
        "What is your account number?",
    ),
    "birth": (
        ("14/03/1987", "March 3rd, 1990", "1975-11-30"),
        ("i was born on {}", "dob: {}"),
        "What is your date of birth?",
    ),
    "password": (
        ("Zebra!4471x", "hunter2gold"),
        ("my password is {}", "password: {}"),
        "What is your password?",
    ),
    "licence": (
        ("D4821-77391-02816", "F255921350094"),
        ("my driver's license number is {}", "driver licence: {}"),
        "What is your driver's license number?",
    ),
}


def _tagged(value: str) -> str:
    half = len(value) // 2
    return f"{value[:half]}<b>{value[half:]}</b>"


DECORATED: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.lower,
    lambda value: "".join(f"&#{ord(one)};" if place % 3 == 1 else one for place, one in enumerate(value)),
    _tagged,
    lambda value: value[: len(value) // 2] + "\u200b" + value[len(value) // 2 :],
    lambda value: "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in value),
)


def frame(dialogues: list[Said], known: dict[str, list[str]] | None = None) -> pd.DataFrame:
    rows = [
        {
            "conversation_id": f"c{number}",
            "turns": [{"role": role, "text": text} for role, text in said],
            "known": known or {},
        }
        for number, said in enumerate(dialogues)
    ]
    return conversations(rows, RAW_CONVERSATION)


def texts(result: pd.DataFrame) -> list[list[str]]:
    return [[turn["text"] for turn in said] for said in result["turns"]]


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, Said]:
    """Draw a value, and a dialogue with it: in a sentence, as an answer, or repeated by the agent."""
    values, sentences, question = PLANTED[draw(st.sampled_from(sorted(PLANTED)))]
    value = draw(st.sampled_from(values))
    decorated = draw(st.sampled_from(DECORATED))(value)
    before = draw(st.sampled_from(["", "hi there, ", "Hello! ", "I ordered a lamp last week. "]))
    after = draw(st.sampled_from(["", ", thanks", " and I want my money back.", "\nBest regards", "!!"]))
    sentence = before + draw(st.sampled_from(sentences)).format(decorated) + after
    lead, end = draw(st.sampled_from(["", "sure, ", "it is ", "Yes. "])), draw(st.sampled_from(["", ".", ", thanks"]))
    said = draw(
        st.sampled_from(
            [
                [("customer", sentence)],
                [("customer", "I need some help"), ("agent", question), ("customer", lead + decorated + end)],
                [("customer", sentence), ("agent", f"Thanks, so it is {value}?"), ("customer", "yes")],
            ]
        )
    )
    return value, said


def joined(text: str) -> str:
    return re.sub(r"[\W_]+", "", PLACEHOLDER.sub("\x00\u00b6", text)).casefold()


@settings(max_examples=40, deadline=None)
@given(st.lists(planted(), min_size=8, max_size=8))
def test_no_planted_value_survives(cases: list[tuple[str, Said]]) -> None:
    scrubbed = texts(scrub(frame([said for _, said in cases]), ScrubConfig(), CONTEXT))
    for (value, _), out in zip(cases, scrubbed, strict=True):
        left = joined("\n".join(out))
        pieces = [piece.casefold() for piece in re.findall(r"[^\W_]{4,}", value) if re.search(r"\d{3}|[A-Z]", piece)]
        assert joined(value) not in left
        assert not [piece for piece in pieces if piece in left]


WORDS = """
    my your name is PIN account number e-mail maiden mother's ? . , <PERSON_1> <PIN_12> jane Doe JANE 4821 it's and
    I'm no 12/05/1980 security question answer was first pet address 22 password: hunter2x Elm Street Springfield 62704
    at dot gmail com gmailcom jane@doe.org @ [at] (212) 555-0187 born on 1990 march 3rd ssn 536-90-4399 card 4111 1111
    iban DE89 3704 0044 0532 0130 00 call me Mrs. O'Neil Anne-Marie &#64; <b> </b> < > \u200b é \u0301 Ж 你好 - _ / : ;
    ( " ' $ one two three licence D4821-77391-02816 10.0.0.255 Apt 3B zip code live in
"""
SOUP = [*WORDS.split(), "\n"]
ASKED = st.sampled_from(["Please give me your name, address, phone and PIN.", "Your username and password?", "Ok JANE"])
MIXED = st.lists(st.tuples(st.sampled_from(SOUP), st.sampled_from([" ", " ", "", ", "])).map("".join), max_size=18)
DIALOGUE = st.lists(
    st.tuples(st.just("agent"), ASKED)
    | st.tuples(st.sampled_from(["customer", "system", "agent"]), MIXED.map("".join)),
    min_size=1,
    max_size=4,
)
KNOWN = st.sampled_from([{}, {"PERSON": ["Jane Doe"]}, {"NAME": ["Anne-Marie O'Neil"], "CODE": ["22", "é"]}])


@pytest.mark.parametrize("mode", ["placeholder", "hash"])
@settings(max_examples=60, deadline=None)
@given(dialogue=DIALOGUE, known=KNOWN)
def test_scrubbing_again_changes_nothing(mode: str, dialogue: Said, known: dict[str, list[str]]) -> None:
    config = ScrubConfig.model_validate({"replace": {"default": mode}})
    raw = frame([dialogue], known)
    before = raw.copy(deep=True)
    once = scrub(raw, config, CONTEXT)
    pd.testing.assert_frame_equal(raw, before)
    pd.testing.assert_frame_equal(scrub(once, config, CONTEXT), once)
    for cell, said in zip(once["entities"], texts(once), strict=True):
        for entity in cell:
            assert PLACEHOLDER.fullmatch(said[entity["turn"]][entity["start"] : entity["end"]])


@settings(max_examples=40, deadline=None)
@given(st.lists(planted(), min_size=4, max_size=4))
def test_masked_values_stay_masked(cases: list[tuple[str, Said]]) -> None:
    config = ScrubConfig(replace={"default": "mask"})
    once = scrub(frame([said for _, said in cases]), config, CONTEXT)
    assert texts(scrub(once, config, CONTEXT)) == texts(once)


@settings(max_examples=60, deadline=None)
@given(DIALOGUE, KNOWN)
def test_few_rounds_are_enough(dialogue: Said, known: dict[str, list[str]]) -> None:
    rounds = 0

    def counted(batch: list[str], config: ScrubConfig) -> object:
        nonlocal rounds
        rounds += 1
        return detect(batch, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placeholders, "detect", counted)
        scrub(frame([dialogue], known), ScrubConfig(), CONTEXT)
    assert rounds < placeholders.ROUNDS / 2


def test_requested_numbers_in_a_long_answer_are_replaced_in_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round shortens the text, so reading only its beginning would find more values in every round."""
    rounds: list[int] = []
    monkeypatch.setattr(placeholders, "detect", lambda *given: rounds.append(1) or detect(*given))
    said: Said = [("agent", "What is your account number?"), ("customer", "a1" * 40_000)]
    (out,) = texts(scrub(frame([said]), ScrubConfig(), CONTEXT))
    assert (out[1], len(rounds)) == ("<ACCOUNT_NUMBER_1>", 2)


@settings(max_examples=60, deadline=None)
@given(DIALOGUE, KNOWN)
def test_spans_are_offsets_of_the_input(dialogue: Said, known: dict[str, list[str]]) -> None:
    line = {"id": 1, "turns": [{"role": role, "text": text} for role, text in dialogue], "known": known}
    (result,) = map(orjson.loads, scrub_lines([orjson.dumps(line)], ScrubConfig()))
    for number, (_, text) in enumerate(dialogue):
        pattern, done = "", 0
        for span in (span for span in result["spans"] if span["turn"] == number):
            assert done <= span["start"] < span["end"] <= len(text)
            pattern += f"{re.escape(text[done : span['start']])}<{span['entity']}_[0-9]+>"
            done = span["end"]
        if decode(text).text == text:
            assert re.fullmatch(pattern + re.escape(text[done:]), result["turns"][number]["text"])


@pytest.mark.parametrize(
    "text", ["SwiftVan can collect it on Wednesday", "handed to BlueRoute, last scan in the depot"]
)
def test_a_word_with_a_capital_inside_is_a_company(text: str) -> None:
    assert texts(scrub(frame([[("agent", text)]]), ScrubConfig(), CONTEXT)) == [[text]]


def test_a_name_with_a_capital_inside_is_a_name() -> None:
    (said,) = texts(scrub(frame([[("customer", "Hello, my name is Fiona McAllister")]]), ScrubConfig(), CONTEXT))
    assert said == ["Hello, my name is <PERSON_1>"]


def _scrubbed(raw: pd.DataFrame) -> pd.DataFrame:
    return scrub(raw, ScrubConfig(), CONTEXT)


@pytest.mark.long
def test_batch_order_and_workers_do_not_matter() -> None:
    draw = random.Random(5)
    dialogues: list[Said] = []
    for values, sentences, question in PLANTED.values():
        dialogues += [
            [("agent", question), ("customer", value), ("customer", draw.choice(sentences).format(value))]
            for value in values
        ]
    raw = frame(dialogues)
    whole = _scrubbed(raw)
    order = draw.sample(range(len(raw)), len(raw))
    pd.testing.assert_frame_equal(_scrubbed(raw.iloc[order]), whole.iloc[order])
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_scrubbed, [raw.iloc[:9], raw.iloc[9:10], raw.iloc[10:]]))
    pd.testing.assert_frame_equal(pd.concat(parts), whole)

"""Replacements: the same for the same value and key, of a similar shape, and from reserved ranges."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError
from deskloop.contract.placeholders import PLACEHOLDER
from tasks.scrub.config import ScrubConfig
from tasks.scrub.decode import decode
from tasks.scrub.detect import detect
from tasks.scrub.placeholders import Conversation, replace_values
from tasks.scrub.replacement import Replacement, put, replacement
from tasks.scrub.replacement.people import person
from tasks.scrub.span import Span

KEY, OTHER = b"k" * 32, b"o" * 32
PSEUDONYMS = Replacement({"default": "pseudonym"}, KEY)
VALUES = {
    "PERSON": "Jane Doe",
    "EMAIL_ADDRESS": "jane.doe@mail.test",
    "PHONE_NUMBER": "(212) 555-0187",
    "CREDIT_CARD": "4111-1111-1111-1111",
    "IBAN_CODE": "DE89 3704 0044 0532 0130 00",
    "US_SSN": "536-90-4399",
    "IP_ADDRESS": "10.0.0.1",
    "ADDRESS": "12 Elm Street, Kresk 90210",
    "DATE_OF_BIRTH": "3 March 1985",
    "PIN": "4711",
    "PASSWORD": "Tr0ub4dor&3",
    "SECURITY_ANSWER": "blue fish",
    "USERNAME": "@jdoe77",
    "AGE": "35",
}


def made(entity: str, value: str, whole: str = "") -> str:
    return PSEUDONYMS.text(entity, value, 1, whole)


@pytest.mark.parametrize("entity", VALUES)
def test_a_pseudonym_depends_on_key_type_and_value_only(entity: str) -> None:
    value = VALUES[entity]
    pseudonym = made(entity, value)
    assert Replacement({"default": "pseudonym"}, KEY).text(entity, value, 7) == pseudonym
    assert Replacement({entity: "pseudonym", "PERSON": "pseudonym"}, KEY).text(entity, value, 2) == pseudonym
    assert pseudonym != value
    others = {Replacement({"default": "pseudonym"}, bytes([one]) * 32).text(entity, value, 1) for one in range(20)}
    assert len(others) > 8


def test_pseudonyms_are_pinned() -> None:
    """Changing these values changes the data of every pipeline with pseudonyms."""
    assert {entity: made(entity, value) for entity, value in VALUES.items()} == {
        "PERSON": "Mercedes Tran",
        "EMAIL_ADDRESS": "zachary.sellers5839@example.net",
        "PHONE_NUMBER": "(398) 555-0188",
        "CREDIT_CARD": "9772-9429-7752-6848",
        "IBAN_CODE": "XX00 1174 9929 8107 0892 32",
        "US_SSN": "000-24-3133",
        "IP_ADDRESS": "198.51.100.161",
        "ADDRESS": "51 Salinas Street, Horneland 00325",
        "DATE_OF_BIRTH": "6 January 1948",
        "PIN": "7383",
        "PASSWORD": "Wd2pq5bhk&0",
        "SECURITY_ANSWER": "out assume",
        "USERNAME": "@vhodges94",
        "AGE": "32",
    }


def test_spellings_share_a_pseudonym_in_their_own_shape() -> None:
    assert [made("PHONE_NUMBER", text) for text in ("212-555-0187", "+1 (212) 555 0187", "0012125550187")] == [
        "398-555-0188", "+1 (398) 555 0188", "0013985550188",
    ]  # fmt: skip
    assert made("CREDIT_CARD", "4111 1111 1111 1111").replace(" ", "-") == made("CREDIT_CARD", "4111-1111-1111-1111")
    assert made("EMAIL_ADDRESS", "JANE.DOE@MAIL.TEST").lower() == made("EMAIL_ADDRESS", "jane.doe@mail.test")
    assert made("IBAN_CODE", "de89370400440532013000").upper() == made("IBAN_CODE", VALUES["IBAN_CODE"]).replace(
        " ", ""
    )


def test_parts_of_a_name_are_parts_of_its_pseudonym() -> None:
    given, family = made("PERSON", "Jane Doe").split()
    assert [made("PERSON", part, "Jane Doe") for part in ("jane", "DOE", "Doe, Jane", "J. Doe", "janedoe", "jame")] == [
        given.lower(), family.upper(), f"{family}, {given}", f"{given[0]}. {family}", (given + family).lower(),
        given.lower(),
    ]  # fmt: skip
    assert made("PERSON", "Doe, Jane") == f"{family}, {given}"
    assert made("PERSON", "Mrs Jane Doe") == f"Mrs {given} {family}"
    whole = "Ann-Marie O'Neil"
    first, last = made("PERSON", whole).split()
    assert [made("PERSON", part, whole) for part in ("Marie", "ann", "O’Neil", "Neil")] == [
        first, first.lower(), last, last,
    ]  # fmt: skip
    assert made("PERSON", "Jane") != given  # on its own, it may be another Jane


@settings(max_examples=300, deadline=None)
@given(st.text("aábcdeJANEß'’-., 19李", min_size=1, max_size=20), st.sampled_from([*VALUES, "ORDER_ID", "URL"]))
def test_no_word_or_number_of_a_value_is_in_its_pseudonym(value: str, entity: str) -> None:
    pseudonym = made(entity, value)
    assert pseudonym
    assert not PLACEHOLDER.search(pseudonym)
    if entity == "PERSON" and re.search(r"\w", value):
        words = set(re.findall(r"[^\W\d_]{3,}", value.casefold()))
        assert not words & set(re.findall(r"[^\W\d_]{3,}", pseudonym.casefold())) - {"del", "van", "von"}
    number = re.sub(r"\D", "", value)
    if len(number) > 3:
        assert number not in re.sub(r"\D", "", pseudonym)


def test_a_drawn_name_that_is_the_value_is_drawn_again() -> None:
    """The seed first draws the person's own names."""
    first = person("Xy Zw", "Xy Zw", lambda attempt: attempt)
    assert person(first, first, lambda attempt: attempt) == person("Xy Zw", "Xy Zw", lambda attempt: attempt + 1)


NUMBERS = st.text("0123456789", min_size=16, max_size=16)


@settings(max_examples=25, deadline=None)
@given(NUMBERS)
def test_pseudonyms_of_numbers_are_not_found_again(digits: str) -> None:
    texts = [
        f"my card is {made('CREDIT_CARD', digits)}",
        f"my iban is {made('IBAN_CODE', 'DE89' + digits)}",
        f"my ssn is {made('US_SSN', f'{digits[:3]}-{digits[3:5]}-{digits[5:9]}')}",
        f"call me on {made('PHONE_NUMBER', f'+1 212 {digits[3:6]} {digits[6:10]}')}",
    ]
    config = ScrubConfig(entities=("CREDIT_CARD", "IBAN_CODE", "US_SSN", "PHONE_NUMBER"), detector="patterns")
    types = ("CREDIT_CARD", "IBAN_CODE", "US_SSN", "PHONE_NUMBER")
    assert [[span.type for span in found if span.type in types] for found in detect(texts, config)] == [[]] * 4


def test_an_address_that_is_a_pseudonym_stays() -> None:
    pseudonym = made("EMAIL_ADDRESS", "jane.doe@mail.test")
    assert re.fullmatch(r"[a-z]+\.[a-z]+[0-9]{4}@example\.(com|org|net)", pseudonym)
    assert made("EMAIL_ADDRESS", pseudonym) == pseudonym
    assert made("EMAIL_ADDRESS", pseudonym.upper()) == pseudonym.upper()
    assert Replacement({"default": "pseudonym"}, OTHER).text("EMAIL_ADDRESS", pseudonym, 1) != pseudonym
    assert made("EMAIL_ADDRESS", "jane.doe1234@example.com") != "jane.doe1234@example.com"


def test_masks_do_not_reveal_the_length() -> None:
    mask = Replacement({"default": "mask"}, b"")
    assert {mask.text(entity, value, 1) for entity, value in VALUES.items() if entity != "CREDIT_CARD"} == {"****"}
    assert mask.text("CREDIT_CARD", "4111 1111 1111 1234", 1) == "****1234"
    assert mask.text("CREDIT_CARD", "1234", 1) == "****"


def test_hashes_are_placeholders_that_conversations_share() -> None:
    hashed = Replacement({"default": "hash"}, KEY)
    one = hashed.text("PERSON", "Jane Doe", 1)
    assert re.fullmatch(r"<PERSON_[1-9][0-9]{11}>", one)
    assert {hashed.text("PERSON", "jane", 5, "Jane Doe"), hashed.text("PERSON", "DOE, JANE", 2)} == {one}
    assert hashed.text("USERNAME", "Jane Doe", 1) != one.replace("PERSON", "USERNAME")
    assert Replacement({"default": "hash"}, OTHER).text("PERSON", "Jane Doe", 1) != one
    assert len({hashed.text("PIN", str(number), 1) for number in range(2_000)}) == 2_000


def test_modes_depend_on_the_type() -> None:
    modes = Replacement({"default": "mask", "PERSON": "placeholder", "DATE_TIME": "keep"}, b"")
    assert [modes.text(entity, "x y", 3) for entity in ("PERSON", "DATE_TIME", "PIN")] == ["<PERSON_3>", "x y", "****"]
    assert replacement((("PIN", "mask"),), b"") is replacement((("PIN", "mask"),), b"")


@pytest.mark.parametrize("mode", ["pseudonym", "hash"])
def test_a_key_is_required(mode: str) -> None:
    with pytest.raises(ConfigError, match="need the key of a store"):
        Replacement({"PIN": mode}, b"")


def test_the_last_pass_keeps_the_offsets() -> None:
    source = "I am <b>Jane</b>&#32;Doe, card 4111 1111 1111 1111; <PIN_9>; jane."
    text = decode(source)
    edits = [(text.text.index(value), text.text.index(value) + len(value), new)
             for value, new in (("Jane Doe", "<PERSON_1>"), ("4111 1111 1111 1111", "<CREDIT_CARD_1>"),
                                ("jane", "<PERSON_1>"))]  # fmt: skip
    modes = Replacement({"PERSON": "pseudonym", "CREDIT_CARD": "mask"}, KEY)
    wholes = {"<PERSON_1>": "Jane Doe", "<CREDIT_CARD_1>": "4111 1111 1111 1111"}
    done, spans = put(text.edit(edits), source, modes, wholes)
    assert done.text == "I am Mercedes Tran, card ****1111; <PIN_9>; mercedes."
    assert [(done.text[one.start : one.end], one.type) for one in spans] == [
        ("Mercedes Tran", "PERSON"), ("****1111", "CREDIT_CARD"), ("<PIN_9>", "PIN"), ("mercedes", "PERSON"),
    ]  # fmt: skip
    assert [source[slice(*done.source(one.start, one.end))] for one in spans] == [
        "Jane</b>&#32;Doe", "4111 1111 1111 1111", "<PIN_9>", "jane",
    ]  # fmt: skip
    assert isinstance(spans[0], Span)


CONFIG = ScrubConfig(
    detector="patterns",
    replace={"PERSON": "pseudonym", "PHONE_NUMBER": "pseudonym", "CREDIT_CARD": "mask", "EMAIL_ADDRESS": "hash"},
)
KNOWN = {"PERSON": ["Jane Doe"]}


def scrubbed(*texts: str, key: bytes = KEY, config: ScrubConfig = CONFIG) -> list[str]:
    conversation = Conversation(texts, KNOWN)
    replace_values([conversation], config, key)
    for text, spans in zip(conversation.texts, conversation.spans, strict=True):
        assert all(0 <= one.start < one.end <= len(text.text) for one in spans)
    return [text.text for text in conversation.texts]


def test_a_conversation() -> None:
    said = scrubbed(
        "hi, jane doe here, jane.doe@mail.test, card 4111 1111 1111 1111, phone 212-555-0187",
        "Hello Jane! Is it 212 555 0187? JANE.DOE@mail.test?",
    )
    email = Replacement({"default": "hash"}, KEY).text("EMAIL_ADDRESS", "jane.doe@mail.test", 1)
    assert said == [
        f"hi, mercedes tran here, {email}, card ****1111, phone 398-555-0188",
        f"Hello Mercedes! Is it 398 555 0188? {email}?",
    ]


PIECES = st.sampled_from(
    ["jane doe", "Jane", "212-555-0187", "a.b@mail.test", "4111 1111 1111 1111", "hello", "and", "the"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(PIECES, min_size=1, max_size=5), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_neither_order_nor_batch_matter(conversations: list[list[str]], random: object) -> None:
    """Pseudonyms and hashes do not depend on other texts of the conversation or batch, or on earlier batches."""
    texts = [", ".join(pieces) for pieces in conversations]
    alone = [scrubbed(text)[0] for text in texts]
    assert scrubbed(*texts) == alone
    shuffled = list(range(len(texts)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert scrubbed(*(texts[place] for place in shuffled)) == [alone[place] for place in shuffled]


def test_another_key_gives_other_values() -> None:
    text = "hi, jane doe here, a.b@mail.test, 212-555-0187"
    assert scrubbed(text) == scrubbed(text)
    for one, other in zip(scrubbed(text)[0].split(", ")[1:], scrubbed(text, key=OTHER)[0].split(", ")[1:], strict=True):
        assert one != other


def test_values_are_not_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Jane" not in repr(PSEUDONYMS)
    with pytest.raises(ConfigError) as refused:
        Replacement({"default": "hash"}, b"").text("PERSON", "Jane", 1)
    assert "Jane" not in str(refused.value)

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskloop.contract.placeholders import PLACEHOLDER
from tasks.scrub.cues import cue

Found = list[tuple[str, str]]

PLACEHOLDERS = ["<PERSON_1>", "<ADDRESS_2>", "<US_SSN_1>", "<EMAIL_ADDRESS_3>"]
PIECES = st.sampled_from(
    """my name is|john smith|ssn|1234|account number|12 Elm St|, Springfield, IL|62704|at|gmail dot com
    password is|hunter2|I am|34|years old|zip|90210|Rua Flores 12|Apt. 4|the corner of|and
    five five one two three four five|pin|born on|4 July 1985|4111 1111 1111 1111|transfer 200 from
    janedoegmailcom|address|$|-|.|,|:|(|@|\n""".replace("\n    ", "|").split("|")
)
TEXTS = st.lists(st.one_of(PIECES, st.sampled_from(PLACEHOLDERS), st.text(max_size=6)), max_size=10).map(" ".join)


def found(text: str) -> Found:
    return [(text[span.start : span.end], span.type) for span in cue([text])[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my ssn is 5566", [("5566", "US_SSN")]),
        ("5687 ssn", [("5687", "US_SSN")]),
        ("the last 4 digits of my ssn are 8812", [("8812", "US_SSN")]),
        ("SSN 123 45 6789", [("123 45 6789", "US_SSN")]),
        ("my social is 123456789", [("123456789", "US_SSN")]),
        ("ssn 4455 and account no 7788", [("4455", "US_SSN"), ("7788", "ACCOUNT_NUMBER")]),
        ("my account number is 00123-4567-89", [("00123-4567-89", "ACCOUNT_NUMBER")]),
        ("the card ending in 4421 was charged $4422.00", [("4421", "CREDIT_CARD")]),
        ("My driver's license number is F162823540116", [("F162823540116", "US_DRIVER_LICENSE")]),
        ("driving licence: MORGA657054SM9IJ", [("MORGA657054SM9IJ", "US_DRIVER_LICENSE")]),
        ("passport number is X1234567", [("X1234567", "US_PASSPORT")]),
        ("my policy no. AB-123456-C was cancelled", [("AB-123456-C", "POLICY_NUMBER")]),
        ("claim #: 77-1234-X9", [("77-1234-X9", "CLAIM_NUMBER")]),
        ("member id W123456789", [("W123456789", "MEMBER_ID")]),
        ("my booking confirmation number is qzx 482", [("qzx 482", "BOOKING_NUMBER")]),
        ("confirmation number is a 5 df 32 thanks", [("a 5 df 32", "BOOKING_NUMBER")]),
        ("my pin is either 3344 or 5566", [("3344", "PIN"), ("5566", "PIN")]),
        ("cvv 123", [("123", "PIN")]),
        ("my account has 2500 dollars", []),
        ("account opened in 2015", []),
        ("change the reservation to the 7th-22nd", []),
    ],
)
def test_numbers_follow_the_word_that_names_them(text: str, expected: Found) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my password is Blue42Sky!", [("Blue42Sky", "PASSWORD")]),
        ("password hunter22", [("hunter22", "PASSWORD")]),
        ("my password is kumar 458 sir", [("kumar 458", "PASSWORD")]),
        ("user name: jdoe_77", [("jdoe_77", "USERNAME")]),
        ("my password is not working", []),
        ("I forgot my password please help", []),
        ("I have login issues", []),
        ("dob 04/07/85", [("04/07/85", "DATE_OF_BIRTH")]),
        ("I was born on 4 July 1985.", [("4 July 1985", "DATE_OF_BIRTH")]),
        ("15/09/1940", [("15/09/1940", "DATE_OF_BIRTH")]),
        ("It was sent on 15/09/2023", []),
    ],
)
def test_secrets_and_birth_dates(text: str, expected: Found) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "address",
    [
        "12 Elm St",
        "221 Maple Grove Lane, Apt 4B, Springfield, IL 62704, USA",
        "Hauptstraße 45, 10115 Berlin, Germany",
        "14 rue de la Paix, 75002 Paris",
        "Rua das Flores 123, Porto",
        "Via Garibaldi 21, 00153 Roma",
        "Calle Mayor 12",
        "Kerkstraat 108, 1017 GC Amsterdam",
        "Storgatan 5, 111 22 Stockholm",
        "PO Box 1234, Anchorage, AK 99501",
        "Unit 5, 78 George Street, Sydney NSW 2000",
        "07 173 Raycroft Street\n Apt. 018\n Woolston\n New Zealand 93283",
        "the corner of Elm Street and 5th Avenue",
        "USS Miller\nFPO AP 70381",
        "Unit 8464 Box 4410\nDPO AA 74226",
    ],
)
def test_an_address_is_found_whole(address: str) -> None:
    assert found(f"Please send it to {address}.") == [(address, "ADDRESS")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my new address is 45 lake view road dover de 19901", [("45 lake view road dover de 19901", "ADDRESS")]),
        ("address 12 hill road and phone 5551234567", [("12 hill road", "ADDRESS"), ("5551234567", "PHONE_NUMBER")]),
        ("tucker ga 30084", [("tucker ga 30084", "ADDRESS")]),
        ("My zip code is 3610-114", [("3610-114", "ZIP_CODE")]),
        ("ZIP: 7412 SL", [("7412 SL", "ZIP_CODE")]),
        ("My postcode is M1 1AE", [("M1 1AE", "ZIP_CODE")]),
        ("it is K1A 0B1", [("K1A 0B1", "ZIP_CODE")]),
        ("what are the top 10 ways to save", []),
        ("I need 2 green salads and 1 lake trout", []),
        ("see you on the 5th in room 204", []),
    ],
)
def test_addresses_of_chat_and_postcodes(text: str, expected: Found) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I am 34.", ["34"]),
        ("This 20 year old female", ["20"]),
        ("Patient is a 63-year-old male", ["63"]),
        ("aged 71", ["71"]),
        ("he's 62 yo", ["62"]),
        ("She just turned 40", ["40"]),
        ("Written when he was only 14.", ["14"]),
        ("I am thirty four years old", ["thirty four"]),
        ("it is 30 days old", []),
        ("I moved 2 years ago", []),
        ("I am 5 minutes late", []),
        ("I turned 2 pages", []),
    ],
)
def test_ages(text: str, expected: list[str]) -> None:
    assert found(text) == [(value, "AGE") for value in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111", [("4111 1111 1111 1111", "CREDIT_CARD")]),
        ("it is 68318931 thanks", [("68318931", "ACCOUNT_NUMBER")]),
        ("555 123 4567", [("555 123 4567", "PHONE_NUMBER")]),
        ("7402", [("7402", "PIN")]),
        ("kumar 4586", [("4586", "PIN")]),
        ("raju and 7809", [("7809", "PIN")]),
        ("call five five five one two three four", [("five five five one two three four", "PHONE_NUMBER")]),
        ("double four seven three nine one two", [("double four seven three nine one two", "PHONE_NUMBER")]),
        ("one two or three", []),
        ("2017", []),
        ("22082018", []),
        ("it costs 1234567 dollars", []),
        ("$1,234,567.89 was charged", []),
        ("order number is 4488123", []),
        ("tracking number 1Z999AA10123456784", []),
        ("version 1.2.3.4 of build 22621", []),
        ("flight 450 hotel 375", []),
        ("ORD-2024-001234", []),
        ("on 12/05/2023 at 10:30 I paid 45.99, 20% off", []),
    ],
)
def test_bare_numbers_by_length_shape_and_place(text: str, expected: Found) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jane dot doe at gmail dot com", "jane dot doe at gmail dot com"),
        ("write to jane doe at gmail dot com please", "jane doe at gmail dot com"),
        ("janedoe (at) example (dot) co (dot) uk", "janedoe (at) example (dot) co (dot) uk"),
        ("jane at gmail", "jane at gmail"),
        ("mail me at janedoegmailcom", "janedoegmailcom"),
        ("jane 12 gmailcom", "jane 12 gmailcom"),
        ("its jane gmail com", "jane gmail com"),
        ("jane@example . com", "jane@example . com"),
        ("I don't recall it at all. What now?", None),
        ("welcome to the telecom", None),
        ("gmail.com is down", None),
    ],
)
def test_emails_without_signs(text: str, expected: str | None) -> None:
    assert found(text) == ([(expected, "EMAIL_ADDRESS")] if expected else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my name is jane doe and i need help", "jane doe"),
        ("My name is Anna-Maria O'Neill.", "Anna-Maria O'Neill"),
        ("Name: Peter van der Berg", "Peter van der Berg"),
        ("this is sarah connor speaking", "sarah connor"),
        ("Surname: Kowalski", "Kowalski"),
        ("my name is not on the list", None),
        ("my company name is blue river", None),
        ("speaking to bots is odd", None),
    ],
)
def test_names_after_strong_cues(text: str, expected: str | None) -> None:
    assert found(text) == ([(expected, "PERSON")] if expected else [])


@pytest.mark.parametrize(
    "text",
    [
        "my name is <PERSON_1> thanks",
        "my ssn is <US_SSN_1> and my account <ACCOUNT_NUMBER_1>",
        "ship to <ADDRESS_1>, thanks",
        "<AGE_1> years old, password is <PASSWORD_1> ok",
        "email <EMAIL_ADDRESS_1> at gmail",
        "<ACCOUNT_NUMBER_77889900>",
        "ssn <US_SSN_5566>",
    ],
)
def test_nothing_is_found_around_placeholders(text: str) -> None:
    assert found(text) == []


@given(st.lists(TEXTS, max_size=6))
def test_spans_do_not_depend_on_the_batch(texts: list[str]) -> None:
    alone = [cue([text])[0] for text in texts]
    assert cue(texts) == alone
    assert cue(texts[::-1]) == alone[::-1]


@given(TEXTS)
def test_spans_are_ordered_inside_the_text_and_clear_of_placeholders(text: str) -> None:
    spans = cue([text])[0]
    assert spans == sorted(spans)
    covered = {place for match in PLACEHOLDER.finditer(text) for place in range(*match.span())}
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert text[span.start : span.end].strip() == text[span.start : span.end]
        assert 0.4 <= span.score <= 1.0
        assert not covered & set(range(span.start, span.end))


@given(TEXTS)
def test_replaced_findings_are_not_found_again(text: str) -> None:
    for _ in range(6):
        spans = cue([text])[0]
        if not spans:
            return
        end, pieces = 0, []
        for span in spans:
            pieces += [text[end : span.start], "<VALUE_1>"] if span.start >= end else []
            end = max(end, span.end)
        text = "".join([*pieces, text[end:]])
    assert not cue([text])[0]


@pytest.mark.long  # tests/tasks/test_scrub_hostile.py covers all of scrub in the quick tests
@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "@",
        "1 ",
        "-1",
        "12 Elm ",
        "St ",
        "A1 ",
        "a.",
        "12345 ",
        "my name is ",
        "ssn ",
        "Rua X ",
        "zero ",
        "x 1234 and ac ",
    ],
)
def test_time_is_linear(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit)) + " ssn 1 at gmail dot com password is year St"
        began = time.process_time()
        cue([text])
        return time.process_time() - began

    seconds(1_000)
    short = min(seconds(20_000) for _ in range(2))
    assert min(seconds(80_000) for _ in range(2)) < 10 * max(short, 0.02)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Phone: 451 5986", "451 5986"),
        ("they are not answering at 78 651 450", "78 651 450"),
        ("call me back on (96) 627-277 please", "(96) 627-277"),
        ("my new mobile number is 33 93 31", "33 93 31"),
        ("i will call on 12 05 and pay $1 200 500", None),
        ("the phone costs 451 598 dollars", None),
    ],
)
def test_phone_numbers_after_a_cue_word(text: str, expected: str | None) -> None:
    found = [text[span.start : span.end] for span in cue([text])[0] if span.type == "PHONE_NUMBER"]
    assert found == ([expected] if expected else [])

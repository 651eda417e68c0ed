import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scrub.dialogue import answers
from tasks.scrub.dialogue.request import request

AGENT, CUSTOMER = "agent", "customer"
Found = list[tuple[str, str]]


def ask(*said: str) -> list[Found]:
    """Return (type, text) of the findings in each customer turn; agent and customer alternate, the agent first."""
    turns = [((AGENT, CUSTOMER)[index % 2], text) for index, text in enumerate(said)]
    found = answers(turns)
    assert not any(found[::2])
    return [
        [(span.type, text[span.start : span.end]) for span in spans]
        for (_, text), spans in zip(turns[1::2], found[1::2], strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("May I have your name, please?", ("PERSON",)),
        ("Who do I have the pleasure of speaking with?", ("PERSON",)),
        ("And the surname on the booking?", ("PERSON",)),
        ("Could you tell me the name of the host?", ("PERSON",)),
        ("Full name, account number and PIN", ("PERSON", "ACCOUNT_NUMBER", "PIN")),
        ("i need ur e-mail and phone number plz", ("EMAIL_ADDRESS", "PHONE_NUMBER")),
        ("Right, and your P.I.N. as well.", ("PIN",)),
        ("Please confirm your D.O.B.", ("DATE_OF_BIRTH",)),
        ("When were you born?", ("DATE_OF_BIRTH",)),
        ("What was your mother's maiden name?", ("SECURITY_ANSWER",)),
        ("What was the name of your first pet?", ("SECURITY_ANSWER",)),
        ("What street did you grow up on?", ("SECURITY_ANSWER",)),
        ("What is the answer to your security question?", ("SECURITY_ANSWER",)),
        ("Just send me the order number.", ("ORDER_NUMBER",)),
        ("Account no. please", ("ACCOUNT_NUMBER",)),
        ("Can I get the postcode and the full address?", ("ZIP_CODE", "ADDRESS")),
        ("Card number and expiry date?", ("CREDIT_CARD", "CARD_EXPIRY")),
        ("The last four digits of your social, please", ("LAST_DIGITS",)),
        ("Please enter your user name and password:", ("USERNAME", "PASSWORD")),
        ("And the licence plate?", ("LICENSE_PLATE",)),
        ("What is the name of the hotel?", ()),
        ("Restaurant name, time, and party size please.", ()),
        ("Your booking ID is 888.", ()),
        ("Thank you for your name and account number.", ()),
        ("Would you like us to call your phone number?", ()),
        ("Never share your PIN with anyone, please.", ()),
        ("How can I help you?", ()),
        ("For how many people?", ()),
    ],
)
def test_requests_of_a_turn(text: str, kinds: tuple[str, ...]) -> None:
    asked = [kind for kind in request(text).kinds if kind != "SSN"]
    assert tuple(asked) == kinds


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("Your name?", "priya raghavan", [("PERSON", "priya raghavan")]),
        ("Your name?", "bill", [("PERSON", "bill")]),
        ("Your name?", "Sure, it's de la Cruz. Why?", [("PERSON", "de la Cruz")]),
        ("Your name?", "Doe, Jane", [("PERSON", "Doe"), ("PERSON", "Jane")]),
        ("Your name?", "grace lee and i want a refund", [("PERSON", "grace lee")]),
        ("Your name?", "I'm sorry. Kwame Mensah. Can you help?", [("PERSON", "Kwame Mensah")]),
        ("Your name?", "nguyễn văn an", [("PERSON", "nguyễn văn an")]),
        ("PIN?", "ok 1 sec, it's 4821", [("PIN", "4821")]),
        ("PIN?", "it costs $4821, on may 12 at 11 am for 12 people", []),
        ("Your e-mail?", "jane dot doe at gmail dot com", [("EMAIL_ADDRESS", "jane dot doe at gmail dot com")]),
        (
            "Your phone number?",
            "oh one seven one five five five",
            [("PHONE_NUMBER", "oh one seven one five five five")],
        ),
        ("Date of birth?", "the 3rd of may 1980", [("DATE_OF_BIRTH", "the 3rd of may 1980")]),
        ("Date of birth?", "12051980", [("DATE_OF_BIRTH", "12051980")]),
        ("Mother's maiden name?", "it was dubois i think", [("SECURITY_ANSWER", "dubois")]),
        ("First pet?", "hmm either rex or bella", [("SECURITY_ANSWER", "rex"), ("SECURITY_ANSWER", "bella")]),
        ("Name of your first pet?", "Molly the dog", [("SECURITY_ANSWER", "Molly")]),
        ("Name of your first pet?", "I had a hamster named Biscuit", [("SECURITY_ANSWER", "Biscuit")]),
        ("To verify you: your favourite colour?", "blue", [("SECURITY_ANSWER", "blue")]),
        ("What is your favourite colour?", "blue", []),
        ("Your password?", "hunter2!", [("PASSWORD", "hunter2")]),
        ("Your user name?", "my username is sunflower", [("USERNAME", "sunflower")]),
        ("Your address?", "22 rue des lilas, 75011 paris", [("ADDRESS", "22 rue des lilas, 75011 paris")]),
        ("Your postcode?", "its SW1A 1AA", [("ZIP_CODE", "SW1A 1AA")]),
        ("Licence plate?", "AB12 CDE", [("LICENSE_PLATE", "AB12 CDE")]),
        ("Last four of your social?", "4821", [("US_SSN", "4821")]),
        ("Last four digits of the card?", "ends in 9921", [("CREDIT_CARD", "9921")]),
    ],
)
def test_answers_to_a_request(question: str, answer: str, found: Found) -> None:
    assert ask(question, answer) == [found]


@pytest.mark.parametrize(
    "answer",
    [
        "why do you need that?",
        "I don't know what that has to do with it",
        "no",
        "yes sure",
        "what?",
        "one moment please",
        "I want to book a table",
        "tomorrow",
        "sorry i forgot it",
        "can you just help me",
        "you should have it already",
        "i'm trying to pay",
    ],
)
def test_texts_that_are_no_answer(answer: str) -> None:
    question = "May I have your full name, PIN, password, address and the answer to your security question?"
    assert ask(question, answer) == [[]]


def test_several_values_in_one_answer() -> None:
    question = "Please provide your name, account number, PIN and date of birth."
    expected = [
        ("PERSON", "jane doe"),
        ("ACCOUNT_NUMBER", "85731890"),
        ("PIN", "1234"),
        ("DATE_OF_BIRTH", "12/05/1980"),
    ]
    assert ask(question, "jane doe, 85731890, 1234, 12/05/1980") == [expected]
    assert ask("Card number and expiry?", "4000 0000 0000 0002 12/28") == [
        [("CREDIT_CARD", "4000 0000 0000 0002"), ("CARD_EXPIRY", "12/28")]
    ]


def test_an_answer_may_come_later_and_again() -> None:
    assert ask("Your PIN?", "what for?", "To verify you.", "ok, 4821") == [[], [("PIN", "4821")]]
    assert ask("Your PIN?", "4821", "That does not match our records.", "then 4822") == [
        [("PIN", "4821")],
        [("PIN", "4822")],
    ]
    assert ask("Your PIN?", "4821", "Thanks! How many miles?", "4822") == [[("PIN", "4821")], []]
    assert ask("Your name?", "why?", "For how many people is the table?", "four") == [[], []]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("my pin is 4821", [("PIN", "4821")]),
        ("I remember my PIN now! Try 4821.", [("PIN", "4821")]),
        ("it's pin 4821 or maybe 4822", [("PIN", "4821"), ("PIN", "4822")]),
        ("mothers maiden name dubois", [("SECURITY_ANSWER", "dubois")]),
        ("my secret answer is Blue Lagoon", [("SECURITY_ANSWER", "Blue Lagoon")]),
        ("Fluffy was my first pet", [("SECURITY_ANSWER", "Fluffy")]),
        ("I was born on 3 May 1980", [("DATE_OF_BIRTH", "3 May 1980")]),
        ("my dob is 12/05/80", [("DATE_OF_BIRTH", "12/05/80")]),
        ("account number 85731890", [("ACCOUNT_NUMBER", "85731890")]),
        ("my name is jane doe and i am late", [("PERSON", "jane doe")]),
        ("Hi, I'm Kwame. Where is it?", [("PERSON", "Kwame")]),
        ("Siobhan here!", [("PERSON", "Siobhan")]),
        ("I'm German and I'm Looking for it", []),
        ("i'm here, my account is locked since 2019", []),
        ("my dog is sick and my cat ate the pin", []),
        ("forgot the answer to my security question, and my pin", []),
        ("I pinned 4821 notes for $4821", []),
    ],
)
def test_values_that_customers_name_unasked(text: str, found: Found) -> None:
    assert ask("Hello!", text) == [found]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Your name?", "my name is <PERSON_1> thanks Bob"),
        ("Your name?", "<PERSON_1>. And I need Two rooms"),
        ("Your name?", "Downtown, said <PERSON_1>"),
        ("Your first pet?", "Downtown, said <SECURITY_ANSWER_1>"),
        ("Name and PIN?", "<PERSON_1>, <PIN_1>, that is All"),
        ("Your first pet?", "<SECURITY_ANSWER_1>, a Goldfish of mine"),
        ("Your password?", "<PASSWORD_1> is it"),
        ("Your address?", "<ADDRESS_1> flat 22 b"),
    ],
)
def test_nothing_is_found_around_placeholders(question: str, answer: str) -> None:
    assert ask(question, answer, "Thanks.", "Great") == [[], []]


def test_only_customers_answer_and_other_roles_ask() -> None:
    assert answers([("customer", "Your name?"), ("agent", "Sam Poe")]) == [[], []]
    assert len(answers([("system", "Please enter your name:"), ("customer", "Sam Poe")])[1]) == 1


SAID = """
    your name PIN account number e-mail maiden ? . , <PERSON_1> <PIN_12> jane Doe 4821 is my it's and I'm no 12/05/1980
    security question answer was first pet address 22
"""
words = st.sampled_from([*SAID.split(), "\n"])
text = st.lists(words, max_size=12).map(" ".join) | st.text(max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["agent", "customer", "system"]), text), max_size=6))
def test_spans_are_inside_the_text_and_clear_of_placeholders(turns: list[tuple[str, str]]) -> None:
    found = answers(turns)
    assert found == answers(turns)
    for (role, said), spans in zip(turns, found, strict=True):
        assert spans == sorted(spans)
        assert role == "customer" or not spans
        taken = {at for span in spans for at in range(span.start, span.end)}
        assert all(0 <= span.start < span.end <= len(said) for span in spans)
        for placeholder in re.finditer(r"<[A-Z_]+_\d+>", said):
            assert taken.isdisjoint(range(*placeholder.span()))


@pytest.mark.long
@pytest.mark.parametrize(
    "unit", ["a", "1", " ", "pin 1", "maiden name is A b ", "account 11-", "born 1 ", "I'm A ", "1/"]
)
def test_time_is_linear(unit: str) -> None:
    def seconds(length: int) -> float:
        said = (unit * length)[:length]
        began = time.process_time()
        ask("Your name, PIN, address and security answer?", said, said, said)
        return time.process_time() - began

    seconds(1_000)
    # The minimum of two runs, because a garbage collection may interrupt one.
    assert min(seconds(200_000) for _ in range(3)) < 8 * max(seconds(50_000), 0.05)

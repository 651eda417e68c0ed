"""The second scan: what it finds in any disguise, what it lets pass, and how long it takes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskloop.contract.errors import DataError
from deskloop.contract.schema import conversations
from deskloop.contract.stage import Context
from tasks.encode import EncodeConfig, encode, fit
from tasks.residue import ADDRESS, KNOWN, NUMBER, residues

LONG = [
    "4929 1180 2374 6651", "4929-1180-2374-6651", "(617) 302 4457", "617.302.4457", "my ssn is 219-09-9999",
    "97214-3305", "A123-456-78-901-2", "Order ref 90211347765", "４９２９１１８０２", "219<b>09</b>9999",
    "219&#48;99999",
    "21\u200b9099\u200b999", "oh one two, three four five six seven eight", "12.34.56.78.90", "+44 117 301 8899",
]  # fmt: skip
ADDRESSES = [
    "write to dana@harbor.io", "dana @ harbor . io", "dana[at]harbor.io", "dana (at) harbor.io", "ｄａｎａ＠harbor.io",
    "dana&#64;harbor.io", "dana<b>@</b>harbor.io", "Dana <dana@harbor.io>", "dana@example.community",
]  # fmt: skip
FINE = [
    "<PHONE_NUMBER_1> and <EMAIL_ADDRESS_2>", "at 2024-01-15 10:32:45", "on 15.01.2024 10:30, 3/31/24",
    "02/28/2024 2:15",
    "it was $1,234,567.89 or € 120.50", "call 202-555-0147", "07700 900123", "+44 20 7946 0321", "0044 115 496 0033",
    "a@example.com", "b@shop.example.org", "c@firm.test", "meet @ noon", "card <CREDIT_CARD_1> 1234", "12345678",
    "<ACCOUNT_1>1234 <ACCOUNT_2>5678 9", "one or two or three", "12 34 56:78 90", "1,200 of 3,400 at 5,600", "",
]  # fmt: skip


@pytest.mark.parametrize("text", LONG)
def test_long_numbers_are_found_however_they_are_written(text: str) -> None:
    assert residues([text]) == [NUMBER]


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_are_found_however_they_are_written(text: str) -> None:
    assert residues([text]) == [ADDRESS]


@pytest.mark.parametrize("text", FINE)
def test_placeholders_dates_prices_and_reserved_ranges_are_none(text: str) -> None:
    assert residues([text]) == []


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("thanks, DANA WHITFIELD", {"PERSON": ["Dana Whitfield"]}),
        ("Whitfield, Dana", {"PERSON": ["Dana Whitfield"]}),
        ("danawhitfield", {"PERSON": ["Dana Whitfield"]}),
        ("dana here", {"PERSON": ["Dana Whitfield"]}),
        ("mrs whitfeild", {"PERSON": ["Dana Whitfield"]}),
        ("mrs whittfield", {"PERSON": ["Dana Whitfield"]}),
        ("Ines wrote", {"PERSON": ["Inés Kovač"]}),
        ("wait for Will to call", {"PERSON": ["Will Ostrow"]}),
        ("my pin: 4417", {"PIN": ["4417"]}),
        ("HD 99217x", {"ORDER_ID": ["hd-99217X"]}),
        ("ring 302 4457", {"PHONE_NUMBER": ["+1 617 302 4457"]}),
        ("12, quarry LANE Bolton", {"ADDRESS": ["12 Quarry Lane, Bolton, BL1 4RT"]}),
        ("it is dana.whitfield, at the usual", {"EMAIL_ADDRESS": ["dana.whitfield@harbor.io"]}),
        ("&#68;a\u200bna <b>Whit</b>field", {"PERSON": ["Dana Whitfield"]}),
    ],
)
def test_known_values_are_found(text: str, known: dict) -> None:
    assert residues([text], known) == [KNOWN]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Will you call? will you?", {"PERSON": ["Will Ostrow"]}),
        ("danas and whitfielder", {"PERSON": ["Dana Whitfeld"]}),
        ("order 441", {"PIN": ["4417"]}),
        ("<PERSON_1> lives in <ADDRESS_1>", {"PERSON": ["Person Address"], "X": [None, "", "  "], "Y": None}),
        ("ask support", {"EMAIL_ADDRESS": ["support@harbor.io"]}),
        ("12 apples in the lane", {"ADDRESS": ["12 Quarry Lane, Bolton"]}),
    ],
)
def test_what_is_not_the_value_is_none(text: str, known: dict) -> None:
    assert residues([text], known) == []


def test_reasons_are_counted_and_hold_no_value() -> None:
    texts = ["dana@harbor.io or 4929 1180 2374", "Dana", "jo@harbor.io"]
    assert residues(texts, {"PERSON": ["Dana"]}) == [ADDRESS, ADDRESS, KNOWN, NUMBER]


def test_a_number_is_not_read_across_texts() -> None:
    assert residues(["12345", "67890"]) == []


@pytest.mark.parametrize(
    "text", ["000-51-7733", "9431 2201 7764 1188", "999 431 7765", "XX00 4431 2201 7764 11", "from 203.0.113.207"]
)
def test_a_pseudonym_in_a_range_that_nobody_has_is_none(text: str) -> None:
    assert residues([text], made=True) == []
    assert residues([text]) == [NUMBER]


@pytest.mark.parametrize(
    "text", ["219-09-9999", "4929 1180 2374 6651", "GB29 4431 2201 7764 11", "from 203.114.113.207"]
)
def test_other_numbers_are_no_pseudonyms(text: str) -> None:
    assert residues([text], made=True) == [NUMBER]


def test_what_is_declared_harmless_stays() -> None:
    assert residues(["unit SKU-123456789, desk@harbor.io"], keep=[r"sku-\d{9}", r"desk@harbor\.io"]) == []
    assert residues(["unit SKU-1234567890"], keep=[r"sku-\d{9}$"]) == [NUMBER]


def test_a_slow_pattern_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.residue.SECONDS", 0.05)
    with pytest.raises(DataError, match="`keep` takes more than"):
        residues(["a" * 40 + "!"], keep=[r"(a|aa|a?a)+$"])


@given(st.text(alphabet="0123456789", min_size=9, max_size=20), st.sampled_from(["", " ", "-", ".", ") (", "/ "]))
def test_no_grouping_hides_a_number(digits: str, gap: str) -> None:
    assert residues([f"it is {gap.join(digits[:4])}{gap}{digits[4:]}, yes"]) in ([NUMBER], _fiction(digits))


def _fiction(digits: str) -> list[str]:
    """A number that happens to be free for fiction is no residue."""
    return [] if digits.lstrip("1")[-7:].startswith("55501") else [NUMBER]


@pytest.mark.parametrize("unit", ["1", "1 ", "@", "a@", "a ", "<b", "&#", "(", "one ", " -", "$1,", "1/1/", "Dana "])
def test_time_is_linear_in_hostile_texts(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        began = time.process_time()
        residues([text], {"PERSON": ["Dana Whitfield"], "ACCOUNT": ["4929118023"]})
        return time.process_time() - began

    assert min(seconds(400_000) for _ in range(3)) < 8 * max(seconds(100_000), 0.05)


def test_encode_rejects_what_the_scan_finds() -> None:
    turns = [
        [{"role": "customer", "text": text}, {"role": "agent", "text": "Thank you."}]
        for text in ("hello", "reach me at dana@harbor.io", "unit SKU-123456789")
    ]
    rows = conversations([{"conversation_id": f"c{at}", "turns": some} for at, some in enumerate(turns)])
    rows = rows.assign(split="train")
    config = EncodeConfig(vocabulary=300, max_length=64, keep=(r"SKU-\d{9}",))
    context = Context("encode", artifact=fit(rows, config, Context("encode")))
    encoded = encode(rows, config, context).set_index("row_id")
    assert encoded["reject"].dropna().to_dict() == {"c1": "residue"}
    assert encoded.loc["c1", "input_ids"] == []


@pytest.mark.parametrize("pattern", ["(", "x*"])
def test_encode_refuses_a_keep_that_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|empty text"):
        EncodeConfig(keep=(pattern,))


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("order N V dash double six three one four nine", "NV-663149"),
        ("order en vee six six three fourteen nine", "NV-663149"),
        ("six six, three one, forty nine please", "NV-663149"),
        ("NV 6 6 three one four 9, yes two of them, three", "NV-663149"),
        ("on plus one dash two one two dash five five five dash zero one one seven", "+1 212 555 0117"),
        ("two one two triple five nought double one seven", "+1 212 555 0117"),
        ("jane underscore doe nine six two at mail dot example", "jane_doe962@mail.example"),
    ],
)
def test_a_known_value_said_in_words_is_found(text: str, known: str) -> None:
    assert residues([text], {"KNOWN": [known]}).count("known_value") == 1
    assert "known_value" not in residues([text], {"KNOWN": ["NV-773149"]})


def test_words_for_digits_are_no_known_value_by_themselves() -> None:
    text = "One or two of the three parcels came at nine, four days late, and five of them were open"
    assert residues([text], {"ORDER_ID": ["NV-663149", "12"], "PHONE_NUMBER": ["+1 212 555 0117"]}) == []
    assert residues(["zero one two three", "four five six seven"], {"PHONE": ["01234567"]}) == []


@pytest.mark.parametrize(
    "text",
    [
        "four one one dash two three dash double five nought six",
        "nineteen eighty four oh five twenty one six",
        "one eight hundred five five five two two two",
    ],
)
def test_a_long_number_is_found_with_any_words_for_it(text: str) -> None:
    assert residues([text]) == ["long_number"]

"""Detection of user names and passwords by their shape in conversations about an account."""

import pytest

from tasks.scrub.dialogue import answers
from tasks.scrub.dialogue.credentials import find_credentials, is_about_accounts

TOPIC = ("customer", "I cannot log in")


def found(text: str, *before: tuple[str, str], role: str = "customer") -> list[str]:
    spans = answers([*before, (role, text)])[-1]
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize("role", ["agent", "customer", "note"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is Maple_6400# a good one?", "Maple_6400#"),
        ("Can you set it to Puzzle!5940?", "Puzzle!5940"),
        ("To check: is it wexdo_54?", "wexdo_54"),
        ("Yes, rustam.423, thanks", "rustam.423"),
        ("put it on nimvo41.", "nimvo41"),
    ],
)
def test_a_credential_is_found_by_its_shape(text: str, expected: str, role: str) -> None:
    assert expected in found(text, TOPIC, role=role)


@pytest.mark.parametrize(
    "text",
    ["My iphone14 and windows11", "it costs usd120", "see room 204", "covid19", "h264 and mp3", "in may2024",
     "WH1000XM4", "http://a.example/page12", "jane12@mail.example", "a2", "order NV-200091", "v1.2.30"],
)  # fmt: skip
def test_products_links_and_dates_are_not_credentials(text: str) -> None:
    assert list(find_credentials(text)) == []


def test_shapes_do_not_count_in_other_conversations() -> None:
    assert is_about_accounts(["My password is wrong"])
    assert not is_about_accounts(["Where is my parcel?"])
    assert found("The label says nimvo41", ("customer", "Where is my parcel?")) == []

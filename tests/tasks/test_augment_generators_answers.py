"""What is made of a model's answers: one line, with every protected span in its place."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.augment.generators.config import BackTranslationConfig
from tasks.augment.generators.lines import Item, around_spans
from tasks.augment.generators.paraphrase import first_answer
from tasks.augment.generators.spans import intact
from tasks.augment.generators.translation import ModelTranslation


@pytest.mark.parametrize(
    ("answer", "first"),
    [
        ("Where is the parcel?", "Where is the parcel?"),
        ('"Where is the parcel?"', "Where is the parcel?"),
        ("“Where is it?”", "Where is it?"),
        ("Here is the rewritten message:\n\nWhere is the parcel?", "Where is the parcel?"),
        ('Sure! Here\'s another way to say it:\n\n"Where is it?"\n\nI hope this helps!', "Where is it?"),
        ("Rewritten text: Where is it?", "Where is it?"),
        ("1. Where is it?\n2. Where might it be?", "Where is it?"),
        ("- Where is it?\n- What happened?", "Where is it?"),
        ("<think>\nThe customer asks.\n</think>\n\nWhere is it?", "Where is it?"),
        ("Certainly, where   is\tit?", "where is it?"),
        ('The app says "no" and "yes"', 'The app says "no" and "yes"'),
        ("", ""),
        ("Here is the text:", ""),
    ],
)
def test_only_the_first_answer_counts(answer: str, first: str) -> None:
    assert first_answer(answer, "Where is my package?") == first


def test_what_the_customer_begins_with_is_no_preamble() -> None:
    assert first_answer("Here is my number: <PHONE_1>", "Here is what you asked for: <PHONE_1>") == (
        "Here is my number: <PHONE_1>"
    )
    assert first_answer('"Refused", it says', '"Declined", it says') == '"Refused", it says'


@pytest.mark.parametrize("codes", [True, False])
@given(
    lines=st.lists(
        st.lists(
            st.sampled_from(["so", "it", "goes", "<PERSON_1>", "NV-1", "€5", "https://x.y/z", "X0", ","]), max_size=9
        ),
        min_size=1,
        max_size=4,
    ),
    answers=st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=100)
def test_whatever_a_model_answers_spans_stay(codes: bool, lines: list[list[str]], answers: random.Random) -> None:
    scraps = ["X0", "X1", "X2", "<PERSON_1>", "NV-1", "well", "€5", "€", "\n", ".", "so it goes", "x0", "HTTP", ""]

    def anything(items: Sequence[Item]) -> list[str | None]:
        return [answers.choice([None, "", " ".join(answers.choices(scraps, k=4))]) for _ in items]

    items = list(dict.fromkeys((" ".join(line), 0) for line in lines))
    for (line, _), made in zip(items, around_spans(items, (), anything, codes), strict=True):
        assert made is None or (intact(line, made) and made != line)


def test_a_piece_with_an_invented_number_stays_as_it_is() -> None:
    answers = {"my first order is": "it was 7 o'clock", "but it is not here": "yet nothing has come"}

    def answer(items: Sequence[Item]) -> list[str | None]:
        return [answers.get(text) for text, _ in items]

    line = "(my first order is NV-1,  but it is not here!)"
    assert around_spans([(line, 0)], (), answer, codes=True) == ["(my first order is NV-1,  yet nothing has come!)"]


def test_models_translate_sentence_by_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: set[str] = set()

    def translated(self: ModelTranslation, sentences: set[str]) -> dict[str, str | None]:
        sent.update(sentences)
        return {"Where is it?": "Is it there?", "It is e.g. here": ""}

    monkeypatch.setattr(ModelTranslation, "_translated", translated)
    config = BackTranslationConfig(kind="back_translation", engine="transformers", forward="a", backward="b")
    generator = ModelTranslation(config, {})
    made = generator(["Hello there!  Where is it? Where is it?\n\nIt is e.g. here"], [0])
    assert sent == {"Hello there!", "Where is it?", "It is e.g. here"}
    assert made == ["Hello there!  Is it there? Is it there?\n\nIt is e.g. here"]

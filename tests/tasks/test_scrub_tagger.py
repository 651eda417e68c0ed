"""The tagger finds names and addresses in correct and careless English, and only those, in any batch."""

import hashlib
import random
import time
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scrub.span import Span
from tasks.scrub.tagger import corpus, digest, fillers, tag
from tasks.scrub.tagger.features import BUCKETS, SHAPES, features
from tasks.scrub.tagger.inference import BLOCK, FILE, REACH, TAPS, Tagger, window
from tasks.scrub.tagger.plausible import whole_name
from tasks.scrub.tagger.postal import Places
from tasks.scrub.tagger.tokens import GAP, PAD, TOKEN, pieces

PLACES = Places(["Elm Row"], ["Leeds"], ["Kent"], ["Ghana"], ["90210"], ["1 Elm Row\nLeeds"])
TABLE = fillers.slots(
    fillers.Pool(["Asha", "Bruno"], ["Okafor", "Lind"], PLACES), {"thing": ["order"], "city": ["Leeds"]}
)


def values(text: str) -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.type) for span in tag([text])[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is Priya Raghavan.", "Priya Raghavan"),
        ("hi im priya raghavan my order never came", "priya raghavan"),
        ("this is Tomasz Zielinski, I need a refund", "Tomasz Zielinski"),
        ("can i speak to Kwame Mensah please", "Kwame Mensah"),
        ("thanks Daniela", "Daniela"),
        ("hello emily how are you", "emily"),
        ("Dear Mrs. Thompson, your parcel was sent", "Mrs. Thompson"),
        ("my name is mohammed siddiqui and my pin is 5521", "mohammed siddiqui"),
        ("the booking is under the name of Li Wei", "Li Wei"),
        ("Carlos Mendoza", "Carlos Mendoza"),
        ("rajesh sharma", "rajesh sharma"),
        ("senthil kumar 4521", "senthil kumar"),
    ],
)
def test_names(text: str, expected: str) -> None:
    assert values(text) == [(expected, "PERSON")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please send it to 48 Willow Avenue, Springfield, OH 45501", "48 Willow Avenue, Springfield, OH 45501"),
        ("my address is 921 cedar street portland or 97205", "921 cedar street portland or 97205"),
        ("I live at 12 Church Road", "12 Church Road"),
        ("my new address is 77 Maple Drive\nSuite 12\nDenver\nCO 80203", "77 Maple Drive\nSuite 12\nDenver\nCO 80203"),
        ("billing address: Hauptstraße 15, 10115 Berlin, Germany", "Hauptstraße 15, 10115 Berlin, Germany"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert values(text) == [(expected, "ADDRESS")]


@pytest.mark.parametrize(
    "text",
    [
        "i want to cancel my order",
        "How do I activate my new card?",
        "from chicago to dallas",
        "Paris",
        "France",
        "march",
        "My Samsung phone stopped working",
        "mark it as done please",
        "i will pay the bill on friday",
        "hope is all i have",
        "Your Order Has Been Shipped",
        "what is the weather in london",
        "i forgot my password",
        "my account number is 55120",
        "one large chicken salad please",
        "the engineer is late",
        "ok thanks",
        "nothing else",
        "economy class",
        "is there a fee for international transfers",
        "my name is <PERSON_1> thanks",
        "hi <PERSON_12>, we ship to <ADDRESS_1> today",
        "my name is \ue000\ue000\ue000 thanks",
        "",
        " \n\0 ",
    ],
)
def test_nothing_personal(text: str) -> None:
    assert values(text) == []


def test_a_placeholder_is_never_covered() -> None:
    text = "priya <PERSON_1> raghavan"
    place = range(6, 16)
    assert not any(at in place for span in tag([text])[0] for at in range(span.start, span.end))


PHRASES = ["hi my name is", "priya", "Raghavan", "12", "oak street", "<PERSON_1>", "李明", "Dr.", "90210", "o'neil"]
WORDS = st.sampled_from([*PHRASES, "\0", "\ue000", ",", "\n", "é", "no.", "thanks", "Leeds"])
TEXTS = st.lists(st.one_of(st.lists(WORDS, max_size=25).map(" ".join), st.text(max_size=40)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_a_text_gets_the_same_spans_in_any_batch(texts: list[str], shuffler: random.Random) -> None:
    alone = {text: tag([text])[0] for text in texts}
    order = list(texts)
    shuffler.shuffle(order)
    assert tag(order) == [alone[text] for text in order]
    assert tag(order * 3)[len(order) :] == [alone[text] for text in order] * 2


def test_scores_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = pieces(["my name is priya raghavan and i live at 12 oak street leeds", "ok"] * 60)
    whole = Tagger().scores(tokens)
    for size in (1, 7, 64):
        monkeypatch.setattr("tasks.scrub.tagger.inference.BLOCK", size)
        np.testing.assert_array_equal(Tagger().scores(tokens[:400]), whole[:400])
    assert len(tokens) < BLOCK
    assert sum(max(taps) for taps in TAPS) == REACH
    assert max(max(taps) for taps in TAPS) <= GAP


def test_embeddings_are_integers_so_that_sums_are_exact() -> None:
    tagger = Tagger()
    tagger.scores(pieces(["hello priya 12 <PERSON_1> é"]))
    for weight, _, _ in tagger.layers:
        assert np.array_equal(weight, np.rint(weight))
        assert np.abs(weight).sum(axis=0).max() * 127 < 2**24
    assert np.array_equal(tagger.rows, np.rint(tagger.rows))


def test_clearing_the_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"hi im priya{chr(97 + number)} raghavan" for number in range(26)]
    before = tag(texts)
    monkeypatch.setattr("tasks.scrub.tagger.inference.KEPT", 12)
    tagger = Tagger()
    monkeypatch.setattr("tasks.scrub.tagger._tagger", lambda: tagger)
    assert [tag([text])[0] for text in texts] == before
    assert len(tagger.row_of) <= 12


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_tokens_cover_every_character(texts: list[str]) -> None:
    found = pieces(texts)
    assert len("".join(found)) == sum(map(len, texts)) + GAP * (len(texts) + 1)
    assert list(accumulate(map(len, found)))[-1] == len("".join(found))


def test_tokens() -> None:
    assert pieces(["hi o'neil, <PERSON_12> flat 12b"])[GAP:-GAP] == [
        "hi", " o", "'", "neil", ",", " <PERSON_00>", " flat", " 00", "b",
    ]  # fmt: skip
    assert TOKEN.findall("a" * 50) == ["a" * 24, "a" * 24, "aa"]
    assert PAD not in pieces(["a\0b"])[GAP:-GAP]


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_features_are_in_range(token: str) -> None:
    known = features(token)
    assert 0 <= known.shape < SHAPES
    assert all(0 <= gram < BUCKETS for gram in known.grams)


def test_window() -> None:
    rows = np.array([[1.0], [2.0], [3.0]], np.float32)
    assert window(rows, (-1, 0, 2)).tolist() == [[0, 1, 3], [1, 2, 0], [2, 3, 0]]


@pytest.mark.parametrize(
    "piece", ["a", "7", "@", "<", "[(", " ", "\n", "priya raghavan ", "12 oak street ", "<PERSON_1"]
)
def test_time_is_linear_in_the_length(piece: str) -> None:
    def seconds(times: int) -> float:
        text = piece * (times * 60_000 // len(piece))
        started = time.process_time()
        tag([text])
        return time.process_time() - started

    seconds(1)
    one, four = min(seconds(1) for _ in range(2)), seconds(4)
    assert four < 12 * one + 0.1


def test_the_digest_is_that_of_the_model_file() -> None:
    assert digest() == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert FILE.stat().st_size < 4_000_000


def test_fill_and_join_place_the_labels() -> None:
    draw = random.Random(3)
    sample = corpus.join(corpus.fill("im {first} and [my|my] {thing} goes to {street_name}", TABLE, draw))
    assert [kind for _, _, kind in sample.spans] == ["PERSON", "ADDRESS"]
    first, street = (sample.text[start:end] for start, end, _ in sample.spans)
    assert sample.text.lower() == f"im {first} and my order goes to {street}".lower()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["names", "addresses"]))
def test_labels_stay_aligned_through_noise(seed: int, kind: str) -> None:
    draw = random.Random(seed)
    frame = draw.choice(
        [line for line in corpus.frames(kind, held_out=False) if set(corpus.SLOT.findall(line)) <= set(TABLE)]
    )
    segments = corpus.roughen(corpus.fill(frame, TABLE, draw), draw)
    sample = corpus.join(segments)
    assert [sample.text[start:end] for start, end, _ in sample.spans] == [
        text.strip() for text, label in segments if label and text.strip()
    ]


def test_the_same_seed_makes_the_same_sentence() -> None:
    def draw(seed: int) -> list[corpus.Sample]:
        source = random.Random(seed)
        return [corpus.join(corpus.roughen(corpus.fill("{name} {address}", TABLE, source), source)) for _ in range(20)]

    assert draw(1) == draw(1) != draw(2)


def test_held_out_frames_and_locales_are_never_trained_on() -> None:
    for kind in ("names", "addresses", "plain"):
        kept, held = set(corpus.frames(kind, held_out=False)), set(corpus.frames(kind, held_out=True))
        assert held - kept
        assert all(corpus.SLOT.fullmatch(frame) for frame in kept & held)
    assert not set(fillers.RESERVED) & set(fillers.HELD_OUT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is Maria Haverclough again", "Maria Haverclough"),
        ("it is Maria van der Quixwort.", "Maria van der Quixwort"),
        ("it is Maria Please call", "Maria"),
        ("it is Maria from Haverclough", "Maria"),
        ("it is maria haverclough", "maria"),
    ],
)
def test_a_rare_name_after_a_name_belongs_to_it(text: str, expected: str) -> None:
    whole = whole_name(text, Span(6, 11, "PERSON", 0.9))
    assert text[whole.start : whole.end] == expected

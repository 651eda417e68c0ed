r"""Read the scenario files and expand their templates into pieces of text.

A template is plain text with two constructs: `[a|b|]` selects one of its alternatives (which may be empty or nested),
and `{name}` inserts a pick of the plot, a fact or personal value of the conversation, or a rule; `\n` is a line break.
A scenario file contains, at the left margin, `share N` (conversations per thousand), `language xx`, `rule NAME`,
`pick A, B` and `plot NAME`; their contents are indented by two. A plot is a list of turns: `C:` customer, `A:` agent,
`N:` internal note; `C?:` begins an exchange that is sometimes omitted. A line indented by four continues the previous
line. A `pick A, B` of a plot selects one of its rows (`a => b`) for the entire conversation, so that answers match
questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROLES = {"C": "customer", "A": "agent", "N": "note"}
TURN = re.compile(r"([CAN])(\??): *(.*)")
SLOT = re.compile(r"\w+")


class Slot(NamedTuple):
    """A `{name}` of a template."""

    name: str


# A template: literal text, slots, and choices (lists of templates).
Template = tuple["str | Slot | list[Template]", ...]


class Exchange(NamedTuple):
    """A customer's turn and the turns up to the next one."""

    optional: bool
    turns: list[tuple[str, Template]]


@dataclass
class Plot:
    """A possible course of a conversation; `picks` are (names, rows), of which each conversation uses one row."""

    name: str
    picks: list[tuple[list[str], list[list[Template]]]] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)


@dataclass
class Scenario:
    """A scenario file: an intent with its plots, or a language whose plots are named by their intents."""

    name: str
    share: int = 0
    language: str = "en"
    rules: dict[str, list[Template]] = field(default_factory=dict)
    plots: list[Plot] = field(default_factory=list)


def parse_template(text: str) -> Template:
    """Parse a template such as `hi [there|{first}]` into a tree.

    Raises:
        ValueError: a bracket or brace is unbalanced.
    """
    text = text.replace("\\n", "\n")
    alternatives, end = _alternatives(text, 0)
    if end < len(text) or len(alternatives) > 1:
        raise ValueError(f"unbalanced bracket, or '|' outside brackets, at {end}: {text}")
    return alternatives[0]


def _alternatives(text: str, at: int) -> tuple[list[Template], int]:
    """Parse `a|b|c` from `at` up to a closing bracket or the end."""
    done: list[Template] = []
    nodes: list[str | Slot | list[Template]] = []
    while at < len(text) and text[at] != "]":
        mark = text[at]
        if mark == "[":
            inner, at = _alternatives(text, at + 1)
            if at >= len(text):
                raise ValueError(f"unclosed bracket: {text}")
            nodes.append(inner)
            at += 1
        elif mark == "{":
            name = SLOT.match(text, at + 1)
            if not name or text[name.end() : name.end() + 1] != "}":
                raise ValueError(f"bad slot at {at}: {text}")
            nodes.append(Slot(name.group()))
            at = name.end() + 1
        elif mark == "|":
            done.append(tuple(nodes))
            nodes = []
            at += 1
        else:
            end = at
            while end < len(text) and text[end] not in "[]{|":
                end += 1
            nodes.append(text[at:end])
            at = end
    done.append(tuple(nodes))
    return done, at


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ValueError: a line does not have the format above; the message names file and line.
    """
    scenario = Scenario(path.stem)
    rows: list[list[Template]] = []
    alternatives: list[Template] = []
    head = ""
    for number, indented, line in _logical_lines(path.read_text(encoding="utf-8")):
        try:
            if indented and head == "rule":
                alternatives.append(parse_template(line))
            elif indented and head == "pick":
                rows.append([parse_template(cell.strip()) for cell in line.split("=>")])
            elif turn := TURN.fullmatch(line):
                _add_turn(scenario.plots[-1], turn[1], bool(turn[2]), parse_template(turn[3]))
            else:
                head, _, rest = line.partition(" ")
                if head == "rule":
                    alternatives = scenario.rules.setdefault(rest, [])
                elif head == "pick":
                    rows = []
                    scenario.plots[-1].picks.append(([name.strip() for name in rest.split(",")], rows))
                elif head == "plot":
                    scenario.plots.append(Plot(rest))
                elif head == "share":
                    scenario.share = int(rest)
                elif head == "language":
                    scenario.language = rest
                else:
                    raise ValueError(f"expected share, language, rule, plot, pick or a turn, got {head!r}")
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path.name}:{number}: {error}") from None
    return scenario


def _logical_lines(text: str) -> list[tuple[int, bool, str]]:
    """Return (number, indented, text) of each line, joined with its continuations and without comments."""
    lines: list[tuple[int, bool, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("    ") and lines:
            first, indented, so_far = lines.pop()
            lines.append((first, indented, f"{so_far} {line.strip()}"))
        elif line.strip() and not line.startswith("#"):
            lines.append((number, line.startswith(" "), line.strip()))
    return lines


def _add_turn(plot: Plot, role: str, optional: bool, template: Template) -> None:
    if role == "C" or not plot.exchanges:
        plot.exchanges.append(Exchange(optional, []))
    plot.exchanges[-1].turns.append((ROLES[role], template))

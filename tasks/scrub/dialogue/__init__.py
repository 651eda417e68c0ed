"""Dialogue: what the agent asked for is what the customer's next turns hold.

A one-word answer is a name because the turn before it asks for a name; a text alone does not tell. Read here: what
each turn of an agent (or form) requests, what of it the customer's next turns answer, and what customers call their
PIN, security answer or birth date by themselves.
"""

from collections.abc import Mapping, Sequence

from deskloop.contract.placeholders import PLACEHOLDER, entity_type
from tasks.scrub.dialogue.credentials import credentials
from tasks.scrub.dialogue.figures import FIGURES, find_figures
from tasks.scrub.dialogue.names import find_names
from tasks.scrub.dialogue.request import request
from tasks.scrub.dialogue.secrets import find_address, find_answers, find_credential
from tasks.scrub.dialogue.statements import find_statements
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span

__all__ = ["answers"]

CUSTOMER = "customer"
TURNS = 3  # of the customer, in which an answer may come
LONG = 2000  # characters: an answer in words is looked for in the first ones of a turn, one in figures anywhere


def answers(turns: Sequence[tuple[str, str]]) -> list[list[Span]]:
    """Find the values that a conversation asked for, and those that its customer names or that look like credentials.

    Args:
        turns: n turns of one conversation as (role, decoded text), roles as in the schema; not modified.
    Returns:
        n lists of spans, ordered by start; in a turn that is not the customer's, user names and passwords alone. Spans
        of one turn may overlap.
    """
    found: list[list[Span]] = []
    asked = _Asked()
    shapes = credentials([shield(text) for _, text in turns])
    for (role, text), shaped in zip(turns, shapes, strict=True):
        if role != CUSTOMER:
            asked.hear(text)
            found.append(shaped)
            continue
        shielded = shield(text)
        spans = {*find_statements(shielded), *shaped}
        if asked.waiting:
            spans.update(asked.answer(text, spans))
        found.append(sorted(span for span in spans if SHIELD not in shielded[span.start : span.end]))
    return found


class _Asked:
    """What has been asked for and not been answered yet.

    Attributes:
        waiting: kind -> the customer's turns that are left to answer it.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self._last: Mapping[str, int] = {}
        self._fresh = False
        self._verifying = False
        self._about = "ACCOUNT_NUMBER"

    def hear(self, text: str) -> None:
        """Take in a turn of anyone but the customer."""
        asked = request(text)
        self._verifying = self._verifying or asked.verifies
        kinds = dict.fromkeys(
            "SECURITY_ANSWER" if kind == "FAVOURITE" else kind
            for kind in asked.kinds
            if kind != "FAVOURITE" or self._verifying
        )
        if kinds:
            numbers = {kind: left for kind, left in self.waiting.items() if kind in FIGURES}
            self._last, self._fresh, self._about = dict.fromkeys(kinds, TURNS), True, asked.about
            self.waiting = {**numbers, **self._last}
        elif self._last and asked.again:
            self.waiting, self._fresh = dict(self._last), True
        elif asked.question:
            self._fresh = False

    def answer(self, text: str, stated: set[Span]) -> list[Span]:
        """The values in a customer's turn besides those stated; what has been answered waits no longer."""
        replaced = [entity_type(match[0]) for match in PLACEHOLDER.finditer(text)]
        fresh = self._fresh and not replaced
        text = shield(text)
        spans = find_figures(text, list(self.waiting), self._about)
        text = text[:LONG]
        early = [span for span in [*spans, *stated] if span.start < LONG]
        for kind in (kind for kind in self.waiting if kind not in replaced):
            left = _masked(text, [span for span in early if (span.type, kind) != ("PERSON", "PERSON")])
            found: list[Span] = []
            if kind == "PERSON":
                found = find_names(left, fresh)
            elif kind == "SECURITY_ANSWER":
                found = find_answers(left, fresh)
            elif kind in ("USERNAME", "PASSWORD") and not replaced:
                found = find_credential(left, kind)
            elif kind == "ADDRESS" and not replaced:
                found = find_address(left)
            spans += found
            early += found
        self._count_down([span.type for span in {*spans, *stated}] + replaced)
        return spans

    def _count_down(self, found: list[str]) -> None:
        """Take away what was answered, also by a value of another type: a checksum may know better what it is."""
        others = sum(kind not in self.waiting for kind in found)
        open_ = [kind for kind in self.waiting if kind not in found]
        self.waiting = {kind: self.waiting[kind] - 1 for kind in open_[others:] if self.waiting[kind] > 1}


def _masked(text: str, spans: Sequence[Span]) -> str:
    pieces: list[str] = []
    done = 0
    for span in sorted(spans):
        end = min(span.end, len(text))
        if done < end:
            pieces += (text[done : span.start], SHIELD * (end - max(done, span.start)))
            done = end
    return "".join([*pieces, text[done:]])

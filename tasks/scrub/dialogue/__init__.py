"""Dialogue rules: detect values in the customer's turns from what the agent asked for.

A one-word answer is a name because the turn before it asks for one; the text alone does not say so. These rules read
what each turn of an agent (or a form) requests, find the answers in the customer's next turns, and detect values that
customers name themselves, such as their PIN, security answer or birth date.
"""

from collections.abc import Mapping, Sequence

from deskloop.contract.placeholders import PLACEHOLDER, entity_type
from tasks.scrub.dialogue.credentials import credentials
from tasks.scrub.dialogue.free_answers import find_address, find_answers, find_credential
from tasks.scrub.dialogue.names import find_names
from tasks.scrub.dialogue.request import request
from tasks.scrub.dialogue.statements import find_statements
from tasks.scrub.dialogue.typed_values import FIGURES, find_figures
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span

__all__ = ["answers"]

CUSTOMER = "customer"
TURNS = 3  # of the customer in which an answer may occur
LONG = 2000  # characters at the start of a turn that are searched for answers in words; figures are detected anywhere


def answers(turns: Sequence[tuple[str, str]]) -> list[list[Span]]:
    """Detect requested values, values that the customer names, and texts that look like credentials.

    Args:
        turns: n turns of one conversation as (role, decoded text), roles as in the schema; not modified.
    Returns:
        n lists of spans, ordered by start; only user names and passwords in turns of other roles than the customer's.
        Spans of one turn may overlap.
    """
    result: list[list[Span]] = []
    asked = _Asked()
    shapes = credentials([shield(text) for _, text in turns])
    for (role, text), shaped in zip(turns, shapes, strict=True):
        if role != CUSTOMER:
            asked.hear(text)
            result.append(shaped)
            continue
        shielded = shield(text)
        spans = {*find_statements(shielded), *shaped}
        if asked.waiting:
            spans.update(asked.answer(text, spans))
        result.append(sorted(span for span in spans if SHIELD not in shielded[span.start : span.end]))
    return result


class _Asked:
    """Requests that have not been answered yet.

    Attributes:
        waiting: kind -> remaining turns of the customer in which an answer may occur.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self._last: Mapping[str, int] = {}
        self._fresh = False
        self._verifying = False
        self._about = "ACCOUNT_NUMBER"

    def hear(self, text: str) -> None:
        """Record the requests in a turn of another role than the customer's."""
        asked = request(text)
        self._verifying = self._verifying or asked.verifies
        kinds = dict.fromkeys(
            "SECURITY_ANSWER" if kind == "FAVOURITE" else kind
            for kind in asked.kinds
            if kind != "FAVOURITE" or self._verifying
        )
        if kinds:
            numbers = {kind: turns for kind, turns in self.waiting.items() if kind in FIGURES}
            self._last, self._fresh, self._about = dict.fromkeys(kinds, TURNS), True, asked.about
            self.waiting = {**numbers, **self._last}
        elif self._last and asked.again:
            self.waiting, self._fresh = dict(self._last), True
        elif asked.question:
            self._fresh = False

    def answer(self, text: str, stated: set[Span]) -> list[Span]:
        """Return the requested values in a customer's turn besides those stated, and drop the answered requests."""
        replaced = [entity_type(match[0]) for match in PLACEHOLDER.finditer(text)]
        fresh = self._fresh and not replaced
        text = shield(text)
        spans = find_figures(text, list(self.waiting), self._about)
        text = text[:LONG]
        early = [span for span in [*spans, *stated] if span.start < LONG]
        for kind in (kind for kind in self.waiting if kind not in replaced):
            masked = _masked(text, [span for span in early if (span.type, kind) != ("PERSON", "PERSON")])
            values: list[Span] = []
            if kind == "PERSON":
                values = find_names(masked, fresh)
            elif kind == "SECURITY_ANSWER":
                values = find_answers(masked, fresh)
            elif kind in ("USERNAME", "PASSWORD") and not replaced:
                values = find_credential(masked, kind)
            elif kind == "ADDRESS" and not replaced:
                values = find_address(masked)
            spans += values
            early += values
        self._count_down([span.type for span in {*spans, *stated}] + replaced)
        return spans

    def _count_down(self, types: list[str]) -> None:
        """Drop the answered requests; a value of another type counts as an answer, because a checksum may decide it."""
        others = sum(kind not in self.waiting for kind in types)
        unanswered = [kind for kind in self.waiting if kind not in types]
        self.waiting = {kind: self.waiting[kind] - 1 for kind in unanswered[others:] if self.waiting[kind] > 1}


def _masked(text: str, spans: Sequence[Span]) -> str:
    pieces: list[str] = []
    done = 0
    for span in sorted(spans):
        end = min(span.end, len(text))
        if done < end:
            pieces += (text[done : span.start], SHIELD * (end - max(done, span.start)))
            done = end
    return "".join([*pieces, text[done:]])

"""Replace personal values by placeholders: `<PERSON_1>` stands for the same person in all turns of a conversation.

Detection and replacement repeat until there are no more findings, because a text with placeholders may match a pattern
that it did not match before. Scrubbing is therefore idempotent.
"""

import itertools
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from deskloop.contract.placeholders import PLACEHOLDER, entity_type
from tasks.scrub.config import ScrubConfig
from tasks.scrub.decode import Decoded, decode, resolve
from tasks.scrub.detect import detect
from tasks.scrub.dialogue import answers
from tasks.scrub.known import LONGEST, PERSON, Value, find_values, key, known_values, name_parts
from tasks.scrub.opaque import CERTAIN, all_or_nothing
from tasks.scrub.replacement import Replacement, hide_masks, put, replacement
from tasks.scrub.span import Span
from tasks.scrub.spoken import back, plain, written

ROUNDS = 25  # usually two suffice: one with findings and one without
LOOSE = ("ADDRESS", "LOCATION", "PERSON")  # types whose findings have uncertain ends
# Minimum letters and digits of a detected value for a search in the other turns.
SPREAD, SPREAD_OF = 4, {PERSON: 2, "PIN": 3, "SECURITY_ANSWER": 3}


class Conversation:
    """The texts of one conversation while their values are replaced.

    Attributes:
        texts: its decoded texts (turns, then metadata), changed in each round; each maps back to its input.
        pending: indices of the texts that changed since the last search.
        covered: the texts with placeholders, regardless of the modes, for the independent scan; set by `finish`.
        spans: the places in each text where a value was replaced; set by `finish`.
    """

    def __init__(
        self,
        texts: Iterable[str | None],
        known: Mapping[str, Iterable[Any] | None] | None = None,
        roles: Sequence[str] = (),
        ids: Collection[int] = (),
    ) -> None:
        """Decode the texts.

        Args:
            texts: of the turns, then of the metadata.
            known: values that the source declares to be personal, by type.
            roles: the role of each turn.
            ids: indices of the metadata texts whose names say that they are identifiers.
        """
        texts = list(texts)
        self._roles = list(roles)
        self._ids = frozenset(ids)
        self._beside = range(len(self._roles), len(texts)) if self._roles else sorted(self._ids)
        self.texts: list[Decoded] = [decode(text or "") for text in texts]
        self.pending = list(range(len(self.texts)))
        self._inputs = [text or "" for text in texts]
        self._known = known_values(known)
        self._whole = {key(value.text): value.key for value in self._known}
        self._types = {value.key: value.type for value in reversed(self._known)}
        self._spelled = {value.key: value.text for value in reversed(self._known) if not value.part}
        self._detected: dict[str, Value] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._wholes: dict[str, str] = {}  # placeholder -> the whole value
        self.covered: list[str] = []
        self.spans: list[list[Span]] = [[] for _ in texts]
        self._last: dict[str, int] = defaultdict(int)
        for text in self.texts:
            for match in PLACEHOLDER.finditer(text.text):
                entity, number = entity_type(match[0]), match[0].rpartition("_")[2][:-1]
                # Our counters never reach ten digits, so a longer number in the input cannot collide.
                self._last[entity] = max(self._last[entity], int(number) if len(number) < 10 else 0)

    def replace(self, detected: Sequence[Sequence[Span]], config: ScrubConfig, made: Replacement) -> None:
        """Replace the detected values, the declared values, and every other occurrence of both.

        Args:
            detected: the spans of each pending text, in the order of `pending`; not modified.
            config: whether to apply the dialogue rules.
            made: the mode of each type; types with mode `keep` are skipped.
        """
        spans: list[list[Span]] = [[] for _ in self.texts]
        for index, findings in zip(self.pending, detected, strict=True):
            spans[index] = [span for span in findings if made.mode(span.type) != "keep"]
        if config.dialogue and self._roles:
            turns = [(role, text.text) for role, text in zip(self._roles, self.texts, strict=False)]
            for findings, more in zip(spans, _answers(turns), strict=False):
                findings += (span for span in more if made.mode(span.type) != "keep")
        self._search(spans, [value for value in self._known if made.mode(value.type) != "keep"])
        settled = self._settled(spans)
        if any(settled):
            self._register(settled)
            self._search(settled, list(self._detected.values()))
            settled = self._settled(settled)
        self.pending = [index for index, findings in enumerate(settled) if findings]
        for index in self.pending:
            text = self.texts[index]
            edits = [(span.start, span.end, self._placeholder(text.text, span)) for span in settled[index]]
            self.texts[index] = resolve(text.edit(edits))

    def _settled(self, spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
        settled = [
            settle(_with_marks(text.text, span) for span in self._carved(text.text, findings))
            for text, findings in zip(self.texts, spans, strict=True)
        ]
        for index in self._beside:
            settled[index] = all_or_nothing(self.texts[index].text, settled[index], index in self._ids)
        return settled

    def _carved(self, text: str, spans: Sequence[Span]) -> list[Span]:
        """Cut certain findings out of uncertain ones of another type, so that each keeps its own type.

        An uncertain finding of the same type (`Ms Jane Doe` around a known `Jane Doe`) is another spelling of the
        certain value.
        """
        certain = sorted(span for span in spans if span.score >= CERTAIN)
        if len(certain) in (0, len(spans)):
            return list(spans)
        starts = [span.start for span in certain]
        reached = list(itertools.accumulate((span.end for span in certain), max))
        result = list(certain)
        for span in spans:
            if span.score < CERTAIN and span.type not in LOOSE:
                result.append(span)
            elif span.score < CERTAIN:
                # Only these can overlap the span: those before them end too early, those after them start too late.
                near = certain[bisect_right(reached, span.start) : bisect_left(starts, span.end)]
                inside = [other for other in near if span.start < other.end]
                alike = next((other for other in inside if other.type == span.type), None)
                if alike:
                    value = key(text[alike.start : alike.end])
                    self._whole.setdefault(key(text[span.start : span.end]), self._whole.get(value, value))
                result += [span] if alike or not inside else _around(text, span, inside)
        return result

    def _search(self, spans: list[list[Span]], values: Sequence[Value]) -> None:
        if not values:
            return
        texts = [text.text for text in self.texts]
        for text, findings, occurrences in zip(texts, spans, find_values(texts, values), strict=True):
            for span, whole in occurrences:
                findings.append(span)
                self._whole.setdefault(key(text[span.start : span.end]), whole)  # misspelled, or in another notation

    def _register(self, settled: Sequence[Sequence[Span]]) -> None:
        """Register the detected values: the finding with the highest score decides the type; whole names come first."""
        scored = [
            (
                -span.score,
                Value(span.type, plain(text.text[span.start : span.end]), key(text.text[span.start : span.end])),
            )
            for text, spans in zip(self.texts, settled, strict=True)
            for span in spans
        ]
        for _, value in sorted(scored, key=lambda item: item[0]):
            self._types.setdefault(self._whole.get(value.key, value.key), value.type)
            self._spelled.setdefault(value.key, value.text)
            size = sum(map(str.isalnum, value.text))
            if size >= SPREAD_OF.get(value.type, SPREAD) and len(value.text) <= LONGEST:
                # A short name follows the rule for parts of names: if it is also a word, it needs its capital letter.
                aliased = self._whole.get(value.key, value.key) != value.key or size < SPREAD
                self._detected.setdefault(value.key, value._replace(part=aliased))
        for _, value in scored:
            parts = name_parts(value) if value.type == PERSON and len(value.text) <= LONGEST else []
            for part in parts if len(parts) > 1 else ():
                if key(part) != value.key:
                    self._whole.setdefault(key(part), value.key)
                    self._detected.setdefault(key(part), Value(value.type, part, value.key, part=True))

    def _placeholder(self, text: str, span: Span) -> str:
        value = key(text[span.start : span.end])
        value = self._whole.get(value, value)
        entity = self._types.get(value, span.type)
        if (entity, value) not in self._numbers:
            self._last[entity] += 1
            self._numbers[entity, value] = self._last[entity]
        placeholder = f"<{entity}_{self._numbers[entity, value]}>"
        self._wholes.setdefault(placeholder, self._spelled.get(value, text[span.start : span.end]))
        return placeholder

    def finish(self, made: Replacement) -> None:
        """Replace the placeholders as the modes require, and record where; call once, at the end."""
        self.covered = [text.text for text in self.texts]
        for index, text in enumerate(self.texts):
            self.texts[index], self.spans[index] = put(text, self._inputs[index], made, self._wholes)

    def replaced(self, index: int) -> list[dict[str, Any]]:
        """Return the replaced spans of a text as `{"turn", "start", "end", "entity"}` in offsets of its input."""
        text, spans = self.texts[index], []
        for span in self.spans[index]:
            start, end = text.source(span.start, span.end)
            if self._inputs[index][start:end] != text.text[span.start : span.end]:
                spans.append({"turn": index, "start": start, "end": end, "entity": span.type})
        return spans


def _answers(turns: Sequence[tuple[str, str]]) -> list[list[Span]]:
    """Return the findings of the dialogue rules, also with spelled-out numbers read as figures."""
    spans = answers(turns)
    views = [written(text) for _, text in turns]
    if any(views):
        converted = [(role, view.text if view else text) for (role, text), view in zip(turns, views, strict=True)]
        for findings, more, view in zip(spans, answers(converted), views, strict=True):
            findings += filter(None, map(back(view), more)) if view else more
    return spans


def _with_marks(text: str, span: Span) -> Span:
    """Extend the span over combining marks on its last character, which would otherwise change a placeholder's `>`."""
    end = span.end
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return span._replace(end=end)


def _around(text: str, span: Span, holes: Sequence[Span]) -> Iterator[Span]:
    """Yield the parts of a span outside its holes that contain a digit or a word."""
    start = span.start
    for hole in [*sorted(holes), Span(span.end, span.end, "", 0.0)]:
        if start < hole.start:
            words = list(re.finditer(r"[^\W_]+", text[start : hole.start]))
            if any(word[0].isdigit() or len(word[0]) > 2 for word in words):
                yield span._replace(start=start + words[0].start(), end=start + words[-1].end())
        start = max(start, hole.end)


def settle(spans: Iterable[Span]) -> list[Span]:
    """Merge overlapping spans: the longest wins, then the highest score, then the first type.

    The winner is extended over the others, so that no character of any finding stays.
    """
    settled: list[Span] = []
    winner: Span | None = None
    for span in sorted(spans):
        if winner is None or span.start >= settled[-1].end:
            winner = span
            settled.append(span)
            continue
        winner = min(winner, span, key=lambda item: (item.start - item.end, -item.score, item.type))
        settled[-1] = Span(settled[-1].start, max(settled[-1].end, span.end), winner.type, winner.score)
    return settled


def replace_values(conversations: Sequence[Conversation], config: ScrubConfig, key: bytes = b"") -> None:
    """Replace the personal values of conversations until there are no more findings.

    Args:
        conversations: a batch, modified; the other conversations of the batch do not influence the result of one.
        config: what to detect and how to replace it.
        key: secret bytes for pseudonyms and hashes.
    Raises:
        ConfigError: a mode of `replace` needs a key, but none is available.
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    made = replacement(config.replace_items, key)
    for conversation in conversations if made.masks else ():
        conversation.texts = [hide_masks(text) for text in conversation.texts]
    active: Sequence[Conversation] = conversations
    for _ in range(ROUNDS):
        texts = [conversation.texts[index].text for conversation in active for index in conversation.pending]
        detected: Iterator[list[Span]] = iter(detect(texts, config))
        for conversation in active:
            conversation.replace(list(itertools.islice(detected, len(conversation.pending))), config, made)
        active = [conversation for conversation in active if conversation.pending]
        if not active:
            break
    for conversation in conversations:
        conversation.finish(made)

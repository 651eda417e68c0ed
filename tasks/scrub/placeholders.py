"""Put placeholders for personal values: `<PERSON_1>` for the same person in every turn of a conversation.

Detecting and replacing repeat until nothing more is found, because a text with placeholders may show a pattern what
it hid before: scrubbing a scrubbed conversation changes nothing.
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

ROUNDS = 25  # two are usual: one that finds, one that finds no more
LOOSE = ("ADDRESS", "LOCATION", "PERSON")  # guesses whose ends are guesses too
# Letters and digits of a detected value that is looked for in the other turns as well.
SPREAD, SPREAD_OF = 4, {PERSON: 2, "PIN": 3, "SECURITY_ANSWER": 3}


class Conversation:
    """The texts of one conversation on their way to placeholders.

    Attributes:
        texts: its decoded texts (turns, then metadata), replaced step by step; each maps back to its input.
        pending: which of them have changed since they were last searched.
        covered: the texts with placeholders alone, whatever the modes then put; for the second scan.
        spans: where in each text something stands for a value. Both are there once `finish` has been called.
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
            texts: of the turns, then of everything else that is text, as metadata.
            known: what the source knows to be personal in it, by type.
            roles: who says each of the turns, which come first; the texts after them are said by no one.
            ids: which of those are identifiers, by their names.
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
        self._found: dict[str, Value] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._wholes: dict[str, str] = {}  # placeholder -> the value that it stands for
        self.covered: list[str] = []
        self.spans: list[list[Span]] = [[] for _ in texts]
        self._last: dict[str, int] = defaultdict(int)
        for text in self.texts:
            for match in PLACEHOLDER.finditer(text.text):
                entity, number = entity_type(match[0]), match[0].rpartition("_")[2][:-1]
                # Nothing of ours has ten digits: a longer number cannot be met by counting on.
                self._last[entity] = max(self._last[entity], int(number) if len(number) < 10 else 0)

    def replace(self, detected: Sequence[Sequence[Span]], config: ScrubConfig, made: Replacement) -> None:
        """Replace what was detected in the pending texts, the known values, and every other occurrence of both.

        Args:
            detected: the spans of each pending text, in the order of `pending`; not modified.
            config: whether the dialogue is looked at.
            made: what becomes of each type; a type that is kept is passed over.
        """
        spans: list[list[Span]] = [[] for _ in self.texts]
        for index, found in zip(self.pending, detected, strict=True):
            spans[index] = [span for span in found if made.mode(span.type) != "keep"]
        if config.dialogue and self._roles:
            said = [(role, text.text) for role, text in zip(self._roles, self.texts, strict=False)]
            for found, more in zip(spans, _answers(said), strict=False):
                found += (span for span in more if made.mode(span.type) != "keep")
        self._search(spans, [value for value in self._known if made.mode(value.type) != "keep"])
        settled = self._settled(spans)
        if any(settled):
            self._learn(settled)
            self._search(settled, list(self._found.values()))
            settled = self._settled(settled)
        self.pending = [index for index, found in enumerate(settled) if found]
        for index in self.pending:
            text = self.texts[index]
            edits = [(span.start, span.end, self._placeholder(text.text, span)) for span in settled[index]]
            self.texts[index] = resolve(text.edit(edits))

    def _settled(self, spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
        settled = [
            settle(_with_marks(text.text, span) for span in self._carved(text.text, found))
            for text, found in zip(self.texts, spans, strict=True)
        ]
        for index in self._beside:
            settled[index] = all_or_nothing(self.texts[index].text, settled[index], index in self._ids)
        return settled

    def _carved(self, text: str, spans: Sequence[Span]) -> list[Span]:
        """The spans with what is certain cut out of guesses of another type, so that each keeps its name.

        A guess of the same type (`Ms Jane Doe` around the known `Jane Doe`) is another spelling of the certain value.
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
                # From the first that any before it reaches into, to the last that starts before the end.
                near = certain[bisect_right(reached, span.start) : bisect_left(starts, span.end)]
                inside = [one for one in near if span.start < one.end]
                alike = next((one for one in inside if one.type == span.type), None)
                if alike:
                    value = key(text[alike.start : alike.end])
                    self._whole.setdefault(key(text[span.start : span.end]), self._whole.get(value, value))
                result += [span] if alike or not inside else _around(text, span, inside)
        return result

    def _search(self, spans: list[list[Span]], values: Sequence[Value]) -> None:
        if not values:
            return
        texts = [text.text for text in self.texts]
        for text, found, more in zip(texts, spans, find_values(texts, values), strict=True):
            for span, whole in more:
                found.append(span)
                self._whole.setdefault(key(text[span.start : span.end]), whole)  # misspelled, or written another way

    def _learn(self, settled: Sequence[Sequence[Span]]) -> None:
        """Remember the values found: type by the surest finding, whole names before their parts."""
        found = [
            (
                -span.score,
                Value(span.type, plain(text.text[span.start : span.end]), key(text.text[span.start : span.end])),
            )
            for text, spans in zip(self.texts, settled, strict=True)
            for span in spans
        ]
        for _, value in sorted(found, key=lambda item: item[0]):
            self._types.setdefault(self._whole.get(value.key, value.key), value.type)
            self._spelled.setdefault(value.key, value.text)
            size = sum(map(str.isalnum, value.text))
            if size >= SPREAD_OF.get(value.type, SPREAD) and len(value.text) <= LONGEST:
                # A short name is looked for as a part of one is: where it is a word too, with its capital only.
                aliased = self._whole.get(value.key, value.key) != value.key or size < SPREAD
                self._found.setdefault(value.key, value._replace(part=aliased))
        for _, value in found:
            parts = name_parts(value) if value.type == PERSON and len(value.text) <= LONGEST else []
            for part in parts if len(parts) > 1 else ():
                if key(part) != value.key:
                    self._whole.setdefault(key(part), value.key)
                    self._found.setdefault(key(part), Value(value.type, part, value.key, part=True))

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
        """Put what the modes ask for in place of the placeholders, and note where; to be called once, at the end."""
        self.covered = [text.text for text in self.texts]
        for index, text in enumerate(self.texts):
            self.texts[index], self.spans[index] = put(text, self._inputs[index], made, self._wholes)

    def replaced(self, index: int) -> list[dict[str, Any]]:
        """What was replaced in a text, as `{"turn", "start", "end", "entity"}` in offsets of its input."""
        text, spans = self.texts[index], []
        for span in self.spans[index]:
            start, end = text.source(span.start, span.end)
            if self._inputs[index][start:end] != text.text[span.start : span.end]:
                spans.append({"turn": index, "start": start, "end": end, "entity": span.type})
        return spans


def _answers(said: Sequence[tuple[str, str]]) -> list[list[Span]]:
    """What the dialogue gives away, with what is said in words read as figures as well."""
    spans = answers(said)
    views = [written(text) for _, text in said]
    if any(views):
        read = [(role, view.text if view else text) for (role, text), view in zip(said, views, strict=True)]
        for found, more, view in zip(spans, answers(read), views, strict=True):
            found += filter(None, map(back(view), more)) if view else more
    return spans


def _with_marks(text: str, span: Span) -> Span:
    """The span with the combining marks on its last character: on a placeholder's `>` they would make another."""
    end = span.end
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return span._replace(end=end)


def _around(text: str, span: Span, holes: Sequence[Span]) -> Iterator[Span]:
    """What is left of a span besides its holes, as far as it holds a digit or a word."""
    start = span.start
    for hole in [*sorted(holes), Span(span.end, span.end, "", 0.0)]:
        if start < hole.start:
            words = list(re.finditer(r"[^\W_]+", text[start : hole.start]))
            if any(word[0].isdigit() or len(word[0]) > 2 for word in words):
                yield span._replace(start=start + words[0].start(), end=start + words[-1].end())
        start = max(start, hole.end)


def settle(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans as one: the longest wins, then the surest, then the first by type.

    The winner takes in what the others cover besides: a character that anyone has found does not stay.
    """
    settled: list[Span] = []
    winner: Span | None = None
    for span in sorted(spans):
        if winner is None or span.start >= settled[-1].end:
            winner = span
            settled.append(span)
            continue
        winner = min(winner, span, key=lambda each: (each.start - each.end, -each.score, each.type))
        settled[-1] = Span(settled[-1].start, max(settled[-1].end, span.end), winner.type, winner.score)
    return settled


def replace_values(conversations: Sequence[Conversation], config: ScrubConfig, key: bytes = b"") -> None:
    """Bring every conversation to where nothing more is found in it. Changes the conversations in place.

    Args:
        conversations: a batch; each is treated as if it were alone, whatever stands beside it.
        config: what to detect, and what becomes of it.
        key: secret bytes for pseudonyms and hashes.
    Raises:
        ConfigError: a mode of `replace` needs a key, and there is none.
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

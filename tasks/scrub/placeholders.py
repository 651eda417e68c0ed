"""Put placeholders for personal values: `<PERSON_1>` for the same person in every turn of a conversation.

Detecting and replacing repeat until nothing more is found, because a text with placeholders may show a pattern what
it hid before: scrubbing a scrubbed conversation changes nothing.
"""

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deskloop.placeholders import PLACEHOLDER, entity_type
from tasks.scrub.config import ScrubConfig
from tasks.scrub.decode import Decoded, decode, resolve
from tasks.scrub.detect import Span, detect
from tasks.scrub.known import PERSON, Value, find_known, key, known_values, name_parts

ROUNDS = 25  # two are usual: one that finds, one that finds no more
SPREAD = 4  # letters and digits of a detected value that is looked for in the other turns as well


class Conversation:
    """The texts of one conversation on their way to placeholders.

    Attributes:
        texts: its decoded texts (turns, then metadata), replaced step by step; each maps back to its input.
        pending: which of them have changed since they were last searched.
    """

    def __init__(self, texts: Iterable[str | None], known: Mapping[str, Iterable[Any] | None] | None = None) -> None:
        texts = list(texts)
        self.texts: list[Decoded] = [decode(text or "") for text in texts]
        self.pending = list(range(len(self.texts)))
        self._inputs = [text or "" for text in texts]
        self._known = known_values(known)
        self._whole = {key(value.text): value.key for value in self._known}
        self._types = {value.key: value.type for value in reversed(self._known)}
        self._found: dict[str, Value] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] = defaultdict(int)
        for text in self.texts:
            for match in PLACEHOLDER.finditer(text.text):
                entity, number = entity_type(match[0]), match[0].rpartition("_")[2][:-1]
                # Nothing of ours has ten digits: a longer number cannot be met by counting on.
                self._last[entity] = max(self._last[entity], int(number) if len(number) < 10 else 0)

    def replace(self, detected: Sequence[Sequence[Span]]) -> None:
        """Replace what was detected in the pending texts, the known values, and every other occurrence of both.

        Args:
            detected: the spans of each pending text, in the order of `pending`; not modified.
        """
        spans: list[list[Span]] = [[] for _ in self.texts]
        for index, found in zip(self.pending, detected, strict=True):
            spans[index] = list(found)
        self._search(spans, self._known)
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
        return [
            settle(_with_marks(text.text, span) for span in found)
            for text, found in zip(self.texts, spans, strict=True)
        ]

    def _search(self, spans: list[list[Span]], values: Sequence[Value]) -> None:
        if values:
            for found, more in zip(spans, find_known([text.text for text in self.texts], values), strict=True):
                found += more

    def _learn(self, settled: Sequence[Sequence[Span]]) -> None:
        """Remember the values found: type by the surest finding, whole names before their parts."""
        found = [
            (-span.score, Value(span.type, text.text[span.start : span.end], key(text.text[span.start : span.end])))
            for text, spans in zip(self.texts, settled, strict=True)
            for span in spans
        ]
        for _, value in sorted(found, key=lambda item: item[0]):
            self._types.setdefault(self._whole.get(value.key, value.key), value.type)
            if sum(map(str.isalnum, value.text)) >= SPREAD:
                aliased = self._whole.get(value.key, value.key) != value.key
                self._found.setdefault(value.key, value._replace(part=aliased))
        for _, value in found:
            parts = name_parts(value) if value.type == PERSON else []
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
        return f"<{entity}_{self._numbers[entity, value]}>"

    def replaced(self, index: int) -> list[dict[str, Any]]:
        """What was replaced in a text, as `{"turn", "start", "end", "entity"}` in offsets of its input."""
        spans = []
        for match in PLACEHOLDER.finditer(self.texts[index].text):
            start, end = self.texts[index].source(*match.span())
            if self._inputs[index][start:end] != match[0]:
                spans.append({"turn": index, "start": start, "end": end, "entity": entity_type(match[0])})
        return spans


def _with_marks(text: str, span: Span) -> Span:
    """The span with the combining marks on its last character: on a placeholder's `>` they would make another."""
    end = span.end
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return span._replace(end=end)


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


def replace_values(conversations: Sequence[Conversation], config: ScrubConfig) -> None:
    """Bring every conversation to where nothing more is found in it. Changes the conversations in place.

    Args:
        conversations: a batch; each is treated as if it were alone, whatever stands beside it.
        config: what to detect.
    """
    active: Sequence[Conversation] = conversations
    for _ in range(ROUNDS):
        texts = [conversation.texts[index].text for conversation in active for index in conversation.pending]
        detected: Iterator[list[Span]] = iter(detect(texts, config))
        for conversation in active:
            conversation.replace(list(itertools.islice(detected, len(conversation.pending))))
        active = [conversation for conversation in active if conversation.pending]
        if not active:
            return

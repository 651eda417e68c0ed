"""File the conversations: their start, customer, duplication, damage, and line in the log.

Every entry depends only on (seed, number), so that logs of any length can be streamed and copies find their originals.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from conversations import Conversation, Turn, play
from letters import Piece, reword
from personas import Persona, invent_customer
from scene import Repertoire

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
# Relative load of each hour of a day; Sundays have half of it.
BUSY = [1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 19, 16, 17, 18, 18, 17, 16, 14, 12, 10, 7, 4, 2]
BLOCK = 1000
# Number of copies, near copies, broken rows and conversations in another language per thousand.
FATES = {"duplicate": 15, "near_duplicate": 20, "broken": 5, "foreign": 6}
BREAKAGES = ["truncated", "not_utf8", "turns_null", "unknown_role", "empty_turns", "duplicate_id", "top_level_list"]
NEW_CUSTOMER = 0.64
UNLABELLED = 0.12


@dataclass(frozen=True)
class Entry:
    """A filed conversation: its start, its line in the log, and its line in the truth file."""

    at: datetime
    line: bytes
    truth: dict[str, Any]


class Calendar:
    """Start times of conversations: in order of number, by the load of the hours; later nights follow the months."""

    def __init__(self, seed: int, conversations: int) -> None:
        self.seed, self.conversations = seed, conversations
        self.night_size = max(1, conversations // 10)
        hours = [START + timedelta(hours=hour) for hour in range((END - START) // timedelta(hours=1))]
        self.busy = list(accumulate(BUSY[hour.hour] * (0.5 if hour.weekday() == 6 else 1.0) for hour in hours))
        self.busy_at_night = list(accumulate(map(float, BUSY)))

    def at(self, number: int) -> datetime:
        """Return the start of the `number`-th conversation, to the second."""
        place, size, start, busy = number, self.conversations, START, self.busy
        if number >= self.conversations:
            night, place = divmod(number - self.conversations, self.night_size)
            size, start, busy = self.night_size, END + timedelta(days=night), self.busy_at_night
        point = (place + Random(self.seed * 1_000_003 + number).random()) / size * busy[-1]
        hour = min(bisect(busy, point), len(busy) - 1)
        before = busy[hour - 1] if hour else 0.0
        return start + timedelta(hours=hour, seconds=int(3600 * (point - before) / (busy[hour] - before)))

    def numbers(self, night: int) -> range:
        """Return the numbers of the conversations in the months (`night` 0), or in a night after them."""
        if not night:
            return range(self.conversations)
        first = self.conversations + (night - 1) * self.night_size
        return range(first, first + self.night_size)


class Helpdesk:
    """Files conversations, each of which depends only on (seed, number)."""

    def __init__(self, seed: int, conversations: int) -> None:
        self.seed = seed
        self.calendar = Calendar(seed, conversations)
        self.repertoire = Repertoire(Path(__file__).resolve().parent / "scenarios")
        self.shares = tuple((intent, scenario.share) for intent, scenario in self.repertoire.intents.items())

    def entry(self, number: int) -> Entry:
        """Return the `number`-th line of the log."""
        at = self.calendar.at(number)
        fate, _, breakage = self.fate(number)
        original = self.original(number) if fate.endswith("duplicate") else number
        conversation = self.conversation(original)
        rng = Random(f"{self.seed}/entry/{number}")
        if fate == "near_duplicate":
            conversation = reworded(conversation, rng)
        ticket, label = self.ticket(number), conversation.intent if rng.random() >= UNLABELLED else None
        if breakage == "duplicate_id":
            ticket = self.ticket(self.original(number))
        row = as_row(conversation, ticket, at - conversation.turns[0].at, label)
        line = break_row(row, breakage, rng) if breakage else as_line(row)
        values = [value for value in values_of(conversation) if as_line(value["written"])[1:-1] in line]
        truth = {
            "conversation_id": ticket,
            "intent": conversation.intent,
            "duplicate_of": self.ticket(original) if fate == "duplicate" else None,
            "near_duplicate_of": self.ticket(original) if fate == "near_duplicate" else None,
            "broken": breakage,
            "values": values,
        }
        return Entry(at, line, truth)

    def ticket(self, number: int) -> str:
        """Return the id of the `number`-th conversation."""
        return f"HD-{100_000 + number}"

    def conversation(self, number: int) -> Conversation:
        """Generate the `number`-th conversation."""
        fate, intent, _ = self.fate(number)
        customer, at = customer_of(self.seed, self.owner(number)), self.calendar.at(number)
        return play(self.repertoire, self.seed, number, None if fate == "foreign" else intent, customer, at)

    def owner(self, number: int) -> int:
        """Return the first conversation of this conversation's customer: itself, or an earlier one."""
        while number:
            rng = Random(f"{self.seed}/owner/{number}")
            if rng.random() < NEW_CUSTOMER:
                break
            number = rng.randrange(max(0, number - 1500), number)
        return number

    def original(self, number: int) -> int:
        """Return the earlier, ordinary conversation that a copy repeats."""
        rng = Random(f"{self.seed}/original/{number}")
        while True:
            earlier = number - rng.randint(1, min(number, 400))
            if self.fate(earlier)[0] in ("new", "foreign"):
                return earlier

    def fate(self, number: int) -> tuple[str, str, str | None]:
        """Return the fate of the conversation (see `FATES`), its intent, and its breakage (see `BREAKAGES`)."""
        block, place = divmod(number, BLOCK)
        fates, intents = roster(self.seed, block, self.shares)
        fate = fates[place] if number else "new"
        breakage = None
        if fate == "broken":
            broken_before = sum(earlier == "broken" for earlier in fates[:place])
            breakage = BREAKAGES[(block * FATES["broken"] + broken_before) % len(BREAKAGES)]
        return fate, intents[place], breakage


@lru_cache(maxsize=8)
def roster(seed: int, block: int, shares: tuple[tuple[str, int], ...]) -> tuple[list[str], list[str]]:
    """Return the fates and intents of a block of conversations, in exact shares and random order."""
    fates = [fate for fate, count in FATES.items() for _ in range(count)]
    fates += ["new"] * (BLOCK - len(fates))
    intents = [intent for intent, share in shares for _ in range(share)]
    if len(intents) != BLOCK:
        raise ValueError(f"the shares of the scenarios add up to {len(intents)}; they must add up to {BLOCK}")
    rng = Random(f"{seed}/roster/{block}")
    rng.shuffle(fates)
    rng.shuffle(intents)
    return fates, intents


@lru_cache(maxsize=10_000)
def customer_of(seed: int, number: int) -> Persona:
    """Return the customer who first appears in conversation `number`; cached, since many return."""
    return invent_customer(seed, number)


def reworded(conversation: Conversation, rng: Random) -> Conversation:
    """Return the conversation with a few words changed, as if a ticket was sent twice."""
    turns, changed = [], 0
    for turn in conversation.turns:
        pieces, count = reword(turn.pieces, rng, 2) if turn.role == "customer" and changed < 4 else (turn.pieces, 0)
        changed += count
        turns.append(Turn(turn.role, pieces, turn.at))
    if not changed:
        turns[0] = Turn(turns[0].role, [*turns[0].pieces, Piece(" Please let me know.")], turns[0].at)
    return replace(conversation, turns=turns)


def as_row(conversation: Conversation, ticket: str, later: timedelta, label: str | None) -> dict[str, Any]:
    """Return the conversation as a row of the helpdesk's export, with all times shifted by `later`."""
    customer = conversation.customer
    return {
        "conversation_id": ticket,
        "source": "helpdesk",
        "started_at": stamp(conversation.turns[0].at + later),
        "channel": conversation.channel,
        "customer": {"id": customer.id, "name": customer.name, "email": customer.email, "phone": customer.phone},
        "order_id": conversation.order_id,
        "intent": label,
        "rating": conversation.rating,
        "no_training": customer.opted_out,
        "turns": [{"role": turn.role, "text": turn.text, "at": stamp(turn.at + later)} for turn in conversation.turns],
    }


def values_of(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """Yield every personal value of the messages with its turn and the form it is written in."""
    for index, turn in enumerate(conversation.turns):
        for piece in turn.pieces:
            if piece.type:
                value = {"type": piece.type, "value": piece.value, "written": piece.text}
                yield value | {"turn": index, "form": piece.form}


def break_row(row: dict[str, Any], breakage: str, rng: Random) -> bytes:
    """Return the row's line, broken in one of the ways of `BREAKAGES`."""
    if breakage == "turns_null":
        row["turns"] = None
    elif breakage == "empty_turns":
        row["turns"] = []
    elif breakage == "unknown_role":
        row["turns"][-1]["role"] = "supervisor_bot"
    line = as_line([row] if breakage == "top_level_list" else row)
    if breakage == "truncated":
        return line[: rng.randint(len(line) // 3, len(line) * 3 // 4)].decode(errors="ignore").encode()
    if breakage == "not_utf8":
        return line.replace(b'"text":"', b'"text":"\xff\xfe\xe9 ', 1)
    return line


def as_line(row: object) -> bytes:
    """Return compact JSON in UTF-8."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def stamp(at: datetime) -> str:
    """Return the time in ISO 8601, in UTC, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")

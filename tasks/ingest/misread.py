"""Detect sources that are read with wrong options, so that a run does not silently reject most of their records.

A wrong encoding, an undeclared role or a wrong column shows in the reasons of the rejects. If such rejects exceed a
configured share of a source's records, the run stops before it publishes anything and suggests an option.
"""

import re
from collections import Counter
from collections.abc import Iterable

from deskloop.contract.errors import InputError
from tasks.ingest.config import SourceConfig
from tasks.ingest.formats import recognise
from tasks.ingest.read import File
from tasks.ingest.record import Record

# Reasons that suggest wrong options. Opt-outs, duplicates and overlong records come from the source itself.
MISREAD = frozenset(
    ["invalid_encoding", "invalid_json", "bad_csv_row", "not_an_object", "too_deep", "bad_turns", "bad_cell"]
) | frozenset(["unknown_role", "unknown_author", "no_conversation_id"])
FEWEST = 5  # such rejects; fewer never stop a run
HOPELESS, SHARE = 20_000, 0.9  # records, and the share of such rejects among them, at which reading stops early
SAMPLE_BYTES = 1 << 16
ROLES_SHOWN = 3
ROLES_KEPT = 200  # distinct roles that are counted
ROLE = re.compile(r"[^\W\d_]{2,}([ _-]?[^\W\d_]+){0,2}[ _-]?\d{0,2}")
ENOUGH = 30  # bytes beyond ASCII that suffice to detect an encoding
UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in cp1252
ENCODINGS = ("cp1252", "cp1251", "cp1253", "koi8_r", "shift_jis", "gb18030", "big5", "euc_kr", "euc_jp")


class Misread:
    """Counts the rejects of one source that suggest wrong options."""

    def __init__(self, index: int, source: SourceConfig, share: float) -> None:
        self.index, self.source, self.share = index, source, share
        self.records = 0
        self.reasons = Counter[str]()
        self.roles = Counter[str]()
        self.sample = bytearray()
        self.first = ""

    def note(self, file: File, record: Record, reason: str | None, roles: Iterable[str] = ()) -> None:
        """Count a record.

        Args:
            reason: why it was rejected; None if it was not.
            roles: its undeclared roles.
        Raises:
            InputError: nearly all of many records are unreadable.
        """
        self.records += 1
        if reason is None or not (reason in MISREAD or self._is_unrecognised(record, reason)):
            return
        self.reasons[reason] += 1
        self.first = self.first or file.label
        if reason == "invalid_encoding" and len(self.sample) < SAMPLE_BYTES:
            self.sample += record.raw
        for role in roles:
            if len(self.roles) < ROLES_KEPT or role in self.roles:
                self.roles[role] += 1
        if self.records >= HOPELESS and self.reasons.total() >= SHARE * self.records:
            self.check()

    def check(self) -> None:
        """Stop the run if too many records suggest wrong options.

        Raises:
            InputError: gives their number, the reasons and the option that is likely to help.
        """
        misread = self.reasons.total()
        if misread < FEWEST or misread <= self.share * self.records:
            return
        counts = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common(3))
        advice = "; ".join(self._advice(reason) for reason, _ in self.reasons.most_common(2))
        raise InputError(
            f"sources[{self.index}] ({self.first}): {misread:,} of {self.records:,} records were rejected for reasons "
            f"that suggest wrong options ({counts}), more than the share of {self.share:g} that `max_misread` allows, "
            f"so nothing is published. {advice}"
        )

    def _is_unrecognised(self, record: Record, reason: str) -> bool:
        """Check that a record has no text because it is empty or has none of the fields that ingest looks for."""
        if not record.value:
            return reason in ("no_turns", "empty_conversation")
        return reason == "no_turns" and recognise(record.value, self.source.columns) is None

    def _advice(self, reason: str) -> str:
        if reason == "invalid_encoding":
            return encoding_advice(bytes(self.sample), self.source.encoding)
        if reason == "unknown_role":
            return _roles_advice(self.roles)
        return ADVICE[reason]


ADVICE = {
    "invalid_json": "Each line must be one JSON object; for another kind of file set `format`",
    "bad_csv_row": "The number of cells differs from that of the header: check the quotes and `encoding`",
    "not_an_object": "Each record must be a JSON object",
    "too_deep": "Its records are nested too deeply to be conversations",
    "bad_turns": "Its turns have no text in the expected fields: set `columns.turns`, `columns.role` and "
    "`columns.text`, or `format`",
    "bad_cell": "Many rows have a cell that cannot be represented, such as a date beyond the year 9999",
    "unknown_author": "Set `users` to the file of the users who wrote the comments",
    "no_conversation_id": "Set `columns.conversation_id` to the column that joins the turns of a conversation",
    "empty_conversation": "Its records are empty",
    "no_turns": "Its records have none of the expected fields: set `columns.turns`, or "
    "`columns.instruction` and `columns.response`; `deskloop init` proposes them",
}


def encoding_advice(sample: bytes, declared: str) -> str:
    """Advise on the likely encoding of the bytes of rejected records."""
    if sample.count(0) > len(sample) // 5:
        return "It looks like UTF-16; convert it to UTF-8, for instance with `iconv -f UTF-16 -t UTF-8`"
    guess = guess_encoding(sample)
    if guess is not None and guess != declared:
        return f"It is not in {declared}; set `encoding: {guess}` on this source, the likeliest encoding of its bytes"
    return f"It is not in {declared}; set `encoding` on this source to its actual encoding"


def guess_encoding(sample: bytes) -> str | None:
    """Guess the likeliest of some common encodings; None if none fits."""
    from charset_normalizer import from_bytes

    if sum(byte > 127 for byte in sample) < ENOUGH:  # too few for detection; cp1252 is by far the most common
        return "cp1252" if not UNDEFINED.search(sample) else None
    best = from_bytes(sample, cp_isolation=list(ENCODINGS)).best()
    return None if best is None or best.encoding in ("ascii", "utf_8") else best.encoding


def shown_roles(roles: Counter[str]) -> list[str]:
    """Return the most common undeclared roles that can be shown.

    A wrong field may hold names instead of roles, so a value is shown only if it is a short word that occurs many times
    and that the name detector does not recognise.
    """
    from tasks.scrub.tagger import tag

    many = max(FEWEST, roles.total() // 50)
    likely = [
        role for role, count in roles.most_common(20) if count >= many and len(role) <= 24 and ROLE.fullmatch(role)
    ]
    words = [re.sub(r"[\W\d_]+", " ", role).strip() for role in likely]
    named = zip(tag(words), tag([word.title() for word in words]), strict=True)
    plain = [role for role, spans in zip(likely, named, strict=True) if not any(spans)]
    return plain[:ROLES_SHOWN]


def _roles_advice(roles: Counter[str]) -> str:
    shown = shown_roles(roles)
    others = len(roles) - len(shown)
    parts = [", ".join(f"{role!r} ({roles[role]:,} turns)" for role in shown)] if shown else []
    if others:
        parts.append(
            f"{others:,} {'other ' if shown else ''}value{'s' if others > 1 else ''}, not shown as possible names"
        )
    example = shown[0] if shown else "their_role"
    return f"Undeclared roles: {' and '.join(parts)}. Declare them, such as `roles: {{{example}: agent}}`"

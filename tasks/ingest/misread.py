"""Was a source read the wrong way? Most of its records then end as rejects, and a run without them would look fine.

A wrong encoding, a role that nobody declared or a wrong column shows in the reasons of the rejects. Above a declared
share of a source's records the run stops before anything is published, with the option that is likely to help.
"""

import re
from collections import Counter
from collections.abc import Iterable

from deskloop.contract.errors import InputError
from tasks.ingest.config import SourceConfig
from tasks.ingest.formats import recognise
from tasks.ingest.read import File
from tasks.ingest.record import Record

# Reasons that say how the source was read. Of an opt-out, a duplicate or a long record the source itself is the cause.
MISREAD = frozenset(
    ["invalid_encoding", "invalid_json", "bad_csv_row", "not_an_object", "too_deep", "bad_turns", "bad_cell"]
) | frozenset(["unknown_role", "unknown_author", "no_conversation_id"])
FEWEST = 5  # records that are rejected so; fewer stop no run
HOPELESS, SHARE = 20_000, 0.9  # after so many records of which so many are rejected so, reading on is no use
SAMPLE_BYTES = 1 << 16
ROLES_SHOWN = 3
ROLES_KEPT = 200  # different ones
ROLE = re.compile(r"[^\W\d_]{2,}([ _-]?[^\W\d_]+){0,2}[ _-]?\d{0,2}")
ENOUGH = 30  # bytes beyond ASCII, to tell an encoding by
UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in cp1252
ENCODINGS = ("cp1252", "cp1251", "cp1253", "koi8_r", "shift_jis", "gb18030", "big5", "euc_kr", "euc_jp")


class Misread:
    """What the rejects of one source say about how it was read."""

    def __init__(self, index: int, source: SourceConfig, share: float) -> None:
        self.index, self.source, self.share = index, source, share
        self.records = 0
        self.reasons = Counter[str]()
        self.roles = Counter[str]()
        self.sample = bytearray()
        self.first = ""

    def note(self, file: File, record: Record, reason: str | None, roles: Iterable[str] = ()) -> None:
        """Count a record; `reason` is None where it was kept, `roles` are those that nobody declared.

        Raises:
            InputError: hardly any of very many records could be read.
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
        """Stop where too many records were read the wrong way.

        Raises:
            InputError: says how many, why, and which option is likely to help.
        """
        misread = self.reasons.total()
        if misread < FEWEST or misread <= self.share * self.records:
            return
        counts = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common(3))
        advice = "; ".join(self._advice(reason) for reason, _ in self.reasons.most_common(2))
        raise InputError(
            f"sources[{self.index}] ({self.first}): {misread:,} of {self.records:,} records were rejected as if it "
            f"were read the wrong way ({counts}), more than the share of {self.share:g} that `max_misread` allows, so "
            f"nothing is published. {advice}"
        )

    def _is_unrecognised(self, record: Record, reason: str) -> bool:
        """Whether a record has no words because it is empty, or none of its fields is one that ingest looks for."""
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
    "invalid_json": "Each line must be one JSON object; for a file of another kind set `format`",
    "bad_csv_row": "Rows have another number of cells than the header: check the quotes, and `encoding`",
    "not_an_object": "Each record must be a JSON object",
    "too_deep": "Its records are nested too deeply to be conversations",
    "bad_turns": "Its turns have no texts where they are looked for: set `columns.turns`, `columns.role` and "
    "`columns.text`, or `format`",
    "bad_cell": "Many rows have a cell that nothing stands for, such as a date beyond the year 9999",
    "unknown_author": "Set `users` to the file of the users that the comments are of",
    "no_conversation_id": "Set `columns.conversation_id` to the column that joins the turns of a conversation",
    "empty_conversation": "Its records are empty",
    "no_turns": "Its records have none of the fields that are looked for: set `columns.turns`, or "
    "`columns.instruction` and `columns.response`; `deskloop init` proposes them",
}


def encoding_advice(sample: bytes, declared: str) -> str:
    """Which encoding the bytes of rejected records are likely to have."""
    if sample.count(0) > len(sample) // 5:
        return "It looks like UTF-16; convert it to UTF-8, for instance with `iconv -f UTF-16 -t UTF-8`"
    guess = guess_encoding(sample)
    if guess is not None and guess != declared:
        return f"It is not in {declared}; set `encoding: {guess}` on this source, which its bytes look like"
    return f"It is not in {declared}; set `encoding` on this source to the one that it was written in"


def guess_encoding(sample: bytes) -> str | None:
    """The likeliest of some common encodings, None where none fits."""
    from charset_normalizer import from_bytes

    if sum(byte > 127 for byte in sample) < ENOUGH:  # too few to tell; this is by far the commonest
        return "cp1252" if not UNDEFINED.search(sample) else None
    best = from_bytes(sample, cp_isolation=list(ENCODINGS)).best()
    return None if best is None or best.encoding in ("ascii", "utf_8") else best.encoding


def shown_roles(roles: Counter[str]) -> list[str]:
    """The commonest of the roles that nobody declared, where they are words for a role.

    A field that is taken for the role may hold names: a value is shown only if it is a short word that occurs many
    times, and that the detector of names does not take for one.
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
    called = ", ".join(f"{role!r} ({roles[role]:,} turns)" for role in shown)
    values = f"{others:,} {'other ' if shown else ''}value{'s' if others > 1 else ''}"
    rest = f"{'and ' if shown else ''}{values} that may be names, and are not shown"
    told = " ".join(filter(None, (called, rest if others else "")))
    example = shown[0] if shown else "their_role"
    return f"Roles that nobody declared: {told}. Declare them, such as `roles: {{{example}: agent}}`"

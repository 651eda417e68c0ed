"""Erasures in the ledger: keyed hashes that identify older rows of an erased person, which are refused."""

import hmac
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime


def conversation_hash(key: bytes, name: str) -> str:
    """HMAC-SHA256 of a conversation's id: 64 hexadecimal digits."""
    return hmac.digest(key, f"erased conversation\x1f{name}".encode(), "sha256").hex()


def record_hash(key: bytes, raw: bytes) -> str:
    """HMAC-SHA256 of the bytes of a record that cannot be read, white space around it aside: 64 hexadecimal digits."""
    return hmac.digest(key, b"erased record\x1f" + raw.strip(), "sha256").hex()


def belongs(keys: Collection[str], customers: Collection[str], person_keys: Collection[str]) -> bool:
    """Check whether a conversation with these customer keys belongs to the person.

    One requested key is enough. Without one, all keys of the conversation must be the person's (`person_keys`).
    """
    return any(key in customers for key in keys) or (bool(keys) and all(key in person_keys for key in keys))


@dataclass(frozen=True)
class Erasure:
    """One erasure as the ledger keeps it.

    Attributes:
        until: rows that started later are new tickets, and welcome.
        customers, person_keys: requested customer keys, and others that belong to the same person only.
        conversations, records: hashes of conversation ids, and of records that could not be read.
    """

    id: str
    until: datetime
    customers: frozenset[str] = frozenset()
    person_keys: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Erased:
    """All erasures of a store, lent to the stage that reads the sources.

    Attributes:
        keys: the project's secrets, newest first; any of them may have made the hashes.
    """

    erasures: tuple[Erasure, ...]
    keys: tuple[bytes, ...] = field(repr=False)

    def refuses(
        self, customer_keys: Iterable[Collection[str]], names: Collection[str], started_at: datetime | None
    ) -> bool:
        """Check for an older conversation of an erased person; one without a time counts as older.

        Args:
            customer_keys: its customer keys under each of `keys`.
            names: its id, as the source has it and as ours.
        """
        by_key = list(customer_keys)
        hashes = {conversation_hash(key, name) for key in self.keys for name in names if name}
        return any(
            (started_at is None or started_at <= erasure.until)
            and (
                hashes & erasure.conversations
                or any(belongs(keys, erasure.customers, erasure.person_keys) for keys in by_key)
            )
            for erasure in self.erasures
        )

    def refuses_record(self, raw: bytes) -> bool:
        """Check whether an unreadable record was erased before."""
        known = [erasure.records for erasure in self.erasures if erasure.records]
        return bool(known) and any(record_hash(key, raw) in records for key in self.keys for records in known)

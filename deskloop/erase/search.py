"""Whose rows: found by keyed hashes in every file of every table, versions of the past and leftovers included."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deskloop.contract.erased import belongs, conversation_hash
from deskloop.store.store import Store

ZONES = ("raw", "clean")
QUARANTINE = "quarantine"


def _nobody(kind: str, text: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True)
class Asked:
    """What a user asked to erase.

    Attributes:
        customers: customer keys of the ids, e-mails and phones, under every key of the project.
        conversations: conversation ids as a store may hold them.
        values: the ids, e-mails and phones themselves, to be looked for in records that could not be read.
        kinds: customer key -> what it is of: `id`, `email` or `phone`.
        identify: (kind, text) -> the customer keys that a store has for it; of kind `conversation`, the names.
        declared: dotted path of a record -> kinds of what the sources declare to stand there; also `known`.
    """

    customers: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    values: tuple[str, ...] = field(default=(), repr=False)
    kinds: Mapping[str, str] = field(default_factory=dict)
    identify: Callable[[str, str], frozenset[str]] = field(default=_nobody, repr=False)
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Person:
    """Whose rows go.

    Attributes:
        customers, own: see `deskloop.contract.erased.Erasure`.
        conversations: ids of all their conversations.
        related: conversations that share a customer key with theirs but have others besides: somebody else's.
        values: entity type -> what the raw rows know of them, and of nobody else unless it is one of their keys.
        latest: when their last conversation began.
        seen: the customer keys asked for that the store has read.
        reasons: conversation -> by what it is theirs: `id`, `email`, `phone`, `another key` or `conversation id`.
    """

    customers: frozenset[str]
    own: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    related: frozenset[str] = frozenset()
    values: dict[str, set[str]] = field(default_factory=dict, repr=False)
    latest: datetime | None = None
    seen: frozenset[str] = frozenset()
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, table: pa.Table) -> list[bool]:
        """Which rows of a table are theirs: by conversation, by what they were derived from, by customer key.

        Args:
            table: with whichever of MARKS it has.
        """
        marked = [False] * table.num_rows
        for name in ("row_id", "conversation_id", "parent_id"):
            if name in table.column_names:
                cells = table[name].to_pylist()
                marked = [was or head(cell) in self.conversations for was, cell in zip(marked, cells, strict=True)]
        if "customer_keys" in table.column_names:
            cells = table["customer_keys"].to_pylist()
            marked = [was or not self.customers.isdisjoint(cell or ()) for was, cell in zip(marked, cells, strict=True)]
        return marked


CUSTOMER_TYPES = {"CUSTOMER_ID": "id", "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone"}
MARKS = ("row_id", "conversation_id", "parent_id", "customer_keys")


def head(row_id: str | None) -> str:
    """The conversation that a row id names first: `HD-1` of `HD-1/noise-2/w1`."""
    return (row_id or "").partition("/")[0]


def tables(store: Store) -> list[tuple[str, str]]:
    """(zone, name) of every Delta table of the data, the quarantine aside."""
    return [
        (zone, folder.name)
        for zone in ZONES
        for folder in sorted((store.root / zone).glob("[!.]*"))
        if (folder / "_delta_log").is_dir() and (zone, folder.name) != ("raw", QUARANTINE)
    ]


def parts(store: Store, zone: str, name: str) -> list[Path]:
    """Every Parquet file of a table, whether or not a version still needs it; the log's own are not among them."""
    folder = store.folder(zone, name)
    return [path for path in sorted(folder.rglob("*.parquet")) if "_delta_log" not in path.parts]


def read_part(path: Path, columns: Sequence[str]) -> pa.Table:
    """Those of the columns that a file has."""
    present = pq.read_schema(path).names
    table = pq.read_table(path, columns=[name for name in columns if name in present], partitioning=None)
    return table.cast(pa.schema([field.with_type(_plain(field.type)) for field in table.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type without views, which Delta's merges write, and which Arrow cannot filter."""
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), kind.item_field.with_type(_plain(kind.item_type)))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    return kind


def find(store: Store, asked: Asked) -> Person:
    """Look for a person in a store."""
    keys = _customer_keys(store, asked)
    mine = {key for one in keys.values() if belongs(one, asked.customers, ()) for key in one} - asked.customers
    strangers = [one for one in keys.values() if not one <= mine | asked.customers]
    own = frozenset(mine.difference(*strangers))
    theirs = {name for name, one in keys.items() if belongs(one, asked.customers, own)}
    related = frozenset(name for name, one in keys.items() if one & mine) - theirs
    theirs |= asked.conversations & _conversations(store)
    seen = asked.customers & set().union(*keys.values())
    person = Person(asked.customers, own, frozenset(theirs), related - theirs, seen=frozenset(seen))
    for name in theirs:
        by = {asked.kinds.get(key, "id") for key in keys.get(name, ()) if key in asked.customers}
        by |= {"conversation id"} if name in asked.conversations else set()
        person.reasons[name] = sorted(by) or ["another key"]
    _know(store, person, asked)
    return person


def again(store: Store, customers: Collection[str], hashes: Collection[str], keys: Sequence[bytes]) -> Person:
    """The same person, from the hashes that a journal holds."""
    wanted = frozenset(hashes)
    names = {
        name for name in _conversations(store) if any(conversation_hash(key, name) in wanted for key in keys)
    }  # fmt: skip
    person = Person(frozenset(customers), conversations=frozenset(names))
    _know(store, person, Asked())
    return person


def _customer_keys(store: Store, asked: Asked) -> dict[str, set[str]]:
    """Conversation -> all its customer keys, of those that share one with the conversations asked for."""
    wanted = set(asked.customers)
    for _ in range(2):  # the keys that stand beside those asked for, then every conversation that has one of them
        found: dict[str, set[str]] = defaultdict(set)
        for table in _scan(store, ("conversation_id", "customer_keys")):
            if len(table.column_names) == 2:
                for name, cell in zip(*(table[one].to_pylist() for one in table.column_names), strict=True):
                    if cell and not wanted.isdisjoint(cell):
                        found[name].update(cell)
        wanted |= {key for one in found.values() if not one.isdisjoint(asked.customers) for key in one}
    return found


def _conversations(store: Store) -> set[str]:
    found: set[str] = set()
    for table in _scan(store, ("row_id", "conversation_id")):
        for name in table.column_names:
            found.update(map(head, table[name].to_pylist()))
    return found


def _know(store: Store, person: Person, asked: Asked) -> None:
    """Add what the raw rows know of a person, and when their last conversation began.

    A conversation's row also knows of others: the agent's name, the shop's own address. So a value counts as the
    person's if it makes one of their customer keys, or if no row of anybody else knows it.
    """
    others: dict[str, set[str]] = defaultdict(set)
    for table in _scan(store, (*MARKS, "known", "started_at"), ("raw",)):
        if not {"known", "started_at"} <= set(table.column_names):
            continue
        cells = zip(table["known"].to_pylist(), table["started_at"].to_pylist(), person.rows(table), strict=True)
        for known, started, is_theirs in cells:
            for kind, values in known or ():
                (person.values if is_theirs else others).setdefault(kind, set()).update(filter(None, values or ()))
            if is_theirs:
                person.latest = max(filter(None, (person.latest, started)), default=None)
    keys = person.customers | person.own
    for kind, values in person.values.items():
        same = CUSTOMER_TYPES.get(kind, "id")
        values -= {one for one in values & others[kind] if keys.isdisjoint(asked.identify(same, one))}


def _scan(store: Store, columns: Sequence[str], zones: Collection[str] = ZONES) -> Iterator[pa.Table]:
    for zone, name in tables(store):
        if zone in zones:
            for path in parts(store, zone, name):
                yield read_part(path, columns)

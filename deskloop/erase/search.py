"""Search for a person's rows by keyed hashes, in every file of every table, including old and unpublished ones."""

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


@dataclass(frozen=True)
class ErasureRequest:
    """A request to erase a person.

    Attributes:
        customers: customer keys of the ids, e-mails and phones, under every key of the project.
        conversations: conversation ids as a store may hold them.
        values: the ids, e-mails and phones themselves, which are searched for in unreadable records.
        kinds: customer key -> its kind: `id`, `email` or `phone`.
        identify: (kind, text) -> the text's customer keys in a store; for kind `conversation`, its ids.
        declared: dotted path in a record -> kinds of identifier that the sources declare for it, or `known`.
    """

    customers: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    values: tuple[str, ...] = field(default=(), repr=False)
    kinds: Mapping[str, str] = field(default_factory=dict)
    identify: Callable[[str, str], frozenset[str]] = field(default=lambda kind, text: frozenset(), repr=False)
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Person:
    """A person whose rows are erased.

    Attributes:
        customers, person_keys: see `deskloop.contract.erased.Erasure`.
        conversations: ids of all their conversations.
        related: another customer's conversations, which share a customer key with theirs.
        values: entity type -> known values of the raw rows that are theirs only, or give one of their customer keys.
        latest: when their last conversation began.
        seen: the requested customer keys that the store has read.
        reasons: conversation -> why it is theirs: `id`, `email`, `phone`, `another key` or `conversation id`.
    """

    customers: frozenset[str]
    person_keys: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    related: frozenset[str] = frozenset()
    values: dict[str, set[str]] = field(default_factory=dict, repr=False)
    latest: datetime | None = None
    seen: frozenset[str] = frozenset()
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, table: pa.Table) -> list[bool]:
        """Return for each row whether it is theirs, by conversation, parent row or customer key.

        Args:
            table: with any of the columns in MARKS.
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
    """Return the conversation of a row id: `HD-1` of `HD-1/noise-2/w1`."""
    return (row_id or "").partition("/")[0]


def tables(store: Store) -> list[tuple[str, str]]:
    """Return (zone, name) of every Delta table of the data zones except the quarantine."""
    return [
        (zone, folder.name)
        for zone in ZONES
        for folder in sorted((store.root / zone).glob("[!.]*"))
        if (folder / "_delta_log").is_dir() and (zone, folder.name) != ("raw", QUARANTINE)
    ]


def parts(store: Store, zone: str, name: str) -> list[Path]:
    """Return every Parquet file of a table, whether or not a version refers to it, except those of the log."""
    folder = store.folder(zone, name)
    return [path for path in sorted(folder.rglob("*.parquet")) if "_delta_log" not in path.parts]


def read_part(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read those of the columns that a file has."""
    present = pq.read_schema(path).names
    table = pq.read_table(path, columns=[name for name in columns if name in present], partitioning=None)
    return table.cast(pa.schema([field.with_type(_plain(field.type)) for field in table.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Replace view types, which Delta's merges write and Arrow cannot filter, by plain ones."""
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


def find(store: Store, request: ErasureRequest) -> Person:
    """Find a person's data in a store."""
    keys = _customer_keys(store, request)
    linked = {key for each in keys.values() if belongs(each, request.customers, ()) for key in each} - request.customers
    others = [each for each in keys.values() if not each <= linked | request.customers]
    person_keys = frozenset(linked.difference(*others))
    theirs = {name for name, each in keys.items() if belongs(each, request.customers, person_keys)}
    related = frozenset(name for name, each in keys.items() if each & linked) - theirs
    theirs |= request.conversations & _conversations(store)
    seen = request.customers & set().union(*keys.values())
    person = Person(request.customers, person_keys, frozenset(theirs), related - theirs, seen=frozenset(seen))
    for name in theirs:
        by = {request.kinds.get(key, "id") for key in keys.get(name, ()) if key in request.customers}
        by |= {"conversation id"} if name in request.conversations else set()
        person.reasons[name] = sorted(by) or ["another key"]
    _add_values(store, person, request)
    return person


def from_hashes(store: Store, customers: Collection[str], hashes: Collection[str], keys: Sequence[bytes]) -> Person:
    """Find the person of a journal, which holds hashes only."""
    wanted = frozenset(hashes)
    names = {name for name in _conversations(store) if any(conversation_hash(key, name) in wanted for key in keys)}
    person = Person(frozenset(customers), conversations=frozenset(names))
    _add_values(store, person, ErasureRequest())
    return person


def _customer_keys(store: Store, request: ErasureRequest) -> dict[str, set[str]]:
    """Return conversation -> all its customer keys, for conversations that share a key with the requested ones."""
    wanted = set(request.customers)
    for _ in range(2):  # first the keys that occur together with the requested ones, then all conversations with them
        keys: dict[str, set[str]] = defaultdict(set)
        for table in _scan(store, ("conversation_id", "customer_keys")):
            if len(table.column_names) == 2:
                for name, cell in zip(*(table[column].to_pylist() for column in table.column_names), strict=True):
                    if cell and not wanted.isdisjoint(cell):
                        keys[name].update(cell)
        wanted |= {key for each in keys.values() if not each.isdisjoint(request.customers) for key in each}
    return keys


def _conversations(store: Store) -> set[str]:
    names: set[str] = set()
    for table in _scan(store, ("row_id", "conversation_id")):
        for column in table.column_names:
            names.update(map(head, table[column].to_pylist()))
    return names


def _add_values(store: Store, person: Person, request: ErasureRequest) -> None:
    """Add the known values of a person's raw rows, and when their last conversation began.

    The known values of a row also include other people's, such as the agent's name or the shop's address. So a value
    is the person's if it gives one of their customer keys, or if it is not known in any other person's row.
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
    keys = person.customers | person.person_keys
    for kind, values in person.values.items():
        same = CUSTOMER_TYPES.get(kind, "id")
        values -= {value for value in values & others[kind] if keys.isdisjoint(request.identify(same, value))}


def _scan(store: Store, columns: Sequence[str], zones: Collection[str] = ZONES) -> Iterator[pa.Table]:
    for zone, name in tables(store):
        if zone in zones:
            for path in parts(store, zone, name):
                yield read_part(path, columns)

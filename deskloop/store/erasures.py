"""The ledger's table `erasures`, and the journal of one that is under way.

The journal is a file in the ledger, there from the moment that an erasure is certain until its last trace is gone.
While it is there, runs refuse to work on the store, and the next `deskloop data erase` finishes what was begun.
Both hold keyed hashes, counts and names of versions; no id, no value.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from deskloop.contract.erased import Erased, Erasure
from deskloop.store.commit import write_state
from deskloop.store.digest import text_digest
from deskloop.store.snapshot import state_rows

JOURNAL = "erasure.json"
PREPARED = "erasure.prepared.json"
ERASURES = pa.schema(
    [
        ("id", pa.string()),
        ("erased_at", pa.timestamp("us", tz="UTC")),
        ("until", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
        ("key_id", pa.string()),
        ("customers", pa.list_(pa.string())),
        ("own", pa.list_(pa.string())),
        ("conversations", pa.list_(pa.string())),
        ("records", pa.list_(pa.string())),
        ("rows", pa.map_(pa.string(), pa.int64())),
        ("models", pa.map_(pa.string(), pa.int64())),
    ]
)


@dataclass
class Journal:
    """An erasure that is under way.

    Attributes:
        erased_at, until: ISO 8601; see `Erasure.until`.
        customers, own, conversations, records: keyed hashes, as in `Erasure`.
        rows: dataset -> rows of its latest version that go.
        models: name@version -> rows of the person that it was trained on.
        phase: `rewrite`: nothing is in its place yet; `swap`: everything that is to be put in its place is written.
        kept: versions that stay readable.
        tables: `zone/dataset` -> what `rewrite` made of it, by Delta version.
        told: counts for the user.
    """

    id: str
    erased_at: str
    until: str
    reason: str
    key_id: str
    customers: list[str]
    own: list[str]
    conversations: list[str]
    records: list[str]
    rows: dict[str, int]
    models: dict[str, int]
    phase: str = "rewrite"
    kept: list[str] = field(default_factory=list)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def save(self, ledger: Path, name: str = JOURNAL) -> None:
        """Write it, whole or not at all, and durably."""
        ledger.mkdir(parents=True, exist_ok=True)
        temporary = ledger / f".{name}"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(orjson.dumps(asdict(self)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(ledger / name)

    def remove(self, ledger: Path) -> None:
        """The erasure is done."""
        (ledger / JOURNAL).unlink(missing_ok=True)

    def erasure(self) -> Erasure:
        """What the ledger will hold of it."""
        sets = (frozenset(one) for one in (self.customers, self.own, self.conversations, self.records))
        return Erasure(self.id, datetime.fromisoformat(self.until), *sets)


def prepared(ledger: Path) -> bool:
    """Whether a journal waits to become certain together with those of the other stores."""
    return (ledger / PREPARED).exists()


def make_certain(ledger: Path) -> None:
    """From here on the erasure that was prepared will be brought to its end."""
    (ledger / PREPARED).rename(ledger / JOURNAL)


def drop_prepared(ledger: Path) -> None:
    """Forget an erasure that never became certain: its process ended first, and nothing was changed."""
    (ledger / PREPARED).unlink(missing_ok=True)


def pending(ledger: Path) -> Journal | None:
    """The erasure that is under way, or was when its process ended."""
    path = ledger / JOURNAL
    return Journal(**orjson.loads(path.read_bytes())) if path.exists() else None


def erasures(ledger: Path) -> list[dict[str, Any]]:
    """All erasures, the oldest first, as rows of ERASURES with `rows` and `models` as dicts."""
    table = state_rows(ledger / "erasures", ERASURES)
    rows: list[dict[str, Any]] = table.sort_by([("erased_at", "ascending"), ("id", "ascending")]).to_pylist()
    return [row | {"rows": dict(row["rows"]), "models": dict(row["models"])} for row in rows]


def erased(ledger: Path, keys: tuple[bytes, ...]) -> Erased:
    """What later reads of the sources must refuse."""
    found = []
    for row in erasures(ledger):
        sets = (frozenset(row[name]) for name in ("customers", "own", "conversations", "records"))
        found.append(Erasure(row["id"], row["until"], *sets))
    return Erased(tuple(found), keys)


def record(ledger: Path, journal: Journal) -> None:
    """Add an erasure to the ledger, once."""
    if any(row["id"] == journal.id for row in erasures(ledger)):
        return
    columns = asdict(journal)
    row: Mapping[str, Any] = {name: columns[name] for name in ERASURES.names} | {
        "erased_at": datetime.fromisoformat(journal.erased_at),
        "until": datetime.fromisoformat(journal.until),
        "rows": list(journal.rows.items()),
        "models": list(journal.models.items()),
    }
    write_state(ledger / "erasures", pa.Table.from_pylist([row], schema=ERASURES))


def erasures_digest(erasures: Sequence[Erasure]) -> str:
    """Digest of everything that decides what is refused; empty where nothing was erased."""
    if not erasures:
        return ""
    return text_digest(
        sorted(
            (one.id, one.until.isoformat(), *(sorted(part) for part in (one.customers, one.own, one.conversations)))
            for one in erasures
        )
    )

"""The ledger's table `erasures`, and the journal of an erasure in progress.

The journal is a file in the ledger that exists from the moment an erasure is committed until it is complete.
While it exists, runs refuse to work on the store, and the next `deskloop data erase` completes the erasure.
Both hold keyed hashes, counts and names of versions, and neither ids nor values.
"""

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
from deskloop.store.durable import replace_file
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
        ("person_keys", pa.list_(pa.string())),
        ("conversations", pa.list_(pa.string())),
        ("records", pa.list_(pa.string())),
        ("rows", pa.map_(pa.string(), pa.int64())),
        ("models", pa.map_(pa.string(), pa.int64())),
    ]
)


@dataclass
class Journal:
    """An erasure in progress.

    Attributes:
        erased_at, until: ISO 8601; see `Erasure.until`.
        customers, person_keys, conversations, records: keyed hashes, as in `Erasure`.
        rows: dataset -> rows of its latest version that are erased.
        models: name@version -> rows of the person that it was trained on.
        phase: `rewrite`: the new files are being written; `swap`: they are complete and replace the old ones.
        kept_versions: versions that stay readable.
        tables: `zone/dataset` -> results of `rewrite`, by Delta version.
        counts: counts for the user.
    """

    id: str
    erased_at: str
    until: str
    reason: str
    key_id: str
    customers: list[str]
    person_keys: list[str]
    conversations: list[str]
    records: list[str]
    rows: dict[str, int]
    models: dict[str, int]
    phase: str = "rewrite"
    kept_versions: list[str] = field(default_factory=list)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)

    def save(self, ledger: Path, name: str = JOURNAL) -> None:
        """Write the journal atomically."""
        ledger.mkdir(parents=True, exist_ok=True)
        replace_file(ledger / name, orjson.dumps(asdict(self)))

    def remove(self, ledger: Path) -> None:
        """Delete the journal of a completed erasure."""
        (ledger / JOURNAL).unlink(missing_ok=True)

    def erasure(self) -> Erasure:
        """Return the erasure as the ledger will record it."""
        sets = (frozenset(hashes) for hashes in (self.customers, self.person_keys, self.conversations, self.records))
        return Erasure(self.id, datetime.fromisoformat(self.until), *sets)


def prepared(ledger: Path) -> bool:
    """Return whether a prepared journal waits to be committed together with those of the other stores."""
    return (ledger / PREPARED).exists()


def commit_prepared(ledger: Path) -> None:
    """Commit the prepared erasure: from here on it is completed, also after a crash."""
    (ledger / PREPARED).rename(ledger / JOURNAL)


def drop_prepared(ledger: Path) -> None:
    """Delete the journal of an erasure that was never committed: its process ended before it changed any data."""
    (ledger / PREPARED).unlink(missing_ok=True)


def pending(ledger: Path) -> Journal | None:
    """Return the erasure that is in progress or was interrupted, if there is one."""
    path = ledger / JOURNAL
    return Journal(**orjson.loads(path.read_bytes())) if path.exists() else None


def erasures(ledger: Path) -> list[dict[str, Any]]:
    """Return all erasures, the oldest first, as rows of ERASURES with `rows` and `models` as dicts."""
    table = state_rows(ledger / "erasures", ERASURES)
    rows: list[dict[str, Any]] = table.sort_by([("erased_at", "ascending"), ("id", "ascending")]).to_pylist()
    return [row | {"rows": dict(row["rows"]), "models": dict(row["models"])} for row in rows]


def erased(ledger: Path, keys: tuple[bytes, ...]) -> Erased:
    """Return the erasures by which later reads of the sources reject records."""
    recorded = []
    for row in erasures(ledger):
        sets = (frozenset(row[name]) for name in ("customers", "person_keys", "conversations", "records"))
        recorded.append(Erasure(row["id"], row["until"], *sets))
    return Erased(tuple(recorded), keys)


def record(ledger: Path, journal: Journal) -> None:
    """Add an erasure to the ledger unless it is recorded already."""
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
    """Return a digest of everything that decides which records are rejected; empty if there are no erasures."""
    if not erasures:
        return ""
    return text_digest(
        sorted(
            (each.id, each.until.isoformat(), *map(sorted, (each.customers, each.person_keys, each.conversations)))
            for each in erasures
        )
    )

"""The erasure of a person: its preview, its journal and its two phases.

    rewrite   every table that has rows of the person is rewritten in `.erase/`, beside the zones; memo, reports,
              checkpoints and artifacts are cleaned in place
    swap      each new table replaces the old one by a rename; then the erasure is recorded in the ledger, the catalog
              and the model registry

If the process is killed, `rewrite` starts again, since the old tables are still complete, and `swap` continues with
the remaining tables. Only `rewrite` reads rows of the person.
"""

import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from deskloop.contract.erased import conversation_hash
from deskloop.erase import traces
from deskloop.erase.rewrite import SCRATCH, Rewritten, files_of, rewrite
from deskloop.erase.search import MARKS, QUARANTINE, ErasureRequest, Person, find, from_hashes, tables
from deskloop.erase.unreadable import Match, unreadable
from deskloop.erase.versions import ancestors, counted, kept_versions, models_of, rejects_of, superseded
from deskloop.store.catalog import Catalog
from deskloop.store.erasures import PREPARED, Journal, erased, erasures_digest, record
from deskloop.store.ledger import Ledger
from deskloop.store.store import Store
from deskloop.store.zones import RAW

Say = Callable[[str], None]


@dataclass(frozen=True)
class Preview:
    """The effects of an erasure on a store, computed without changing it.

    Attributes:
        rows: dataset or rejects table -> rows of its latest version that are erased.
        gone: versions that cannot be read afterwards.
        kept_versions: versions that models were trained on, which stay readable without the person. The latest version
            of a dataset is published again under a new number.
        models: name@version -> rows of the person that it was trained on.
        files: number of table files with a row of the person.
        quarantine: unreadable records with an identifier of the person.
        related: number of conversations that share an e-mail or phone with the person's but also name another
            customer; they are kept.
    """

    person: Person
    conversations: int
    rows: Mapping[str, int]
    gone: Sequence[str]
    kept_versions: Sequence[str]
    models: Mapping[str, int]
    files: int
    quarantine: Sequence[Match]
    related: int

    @property
    def empty(self) -> bool:
        """Whether the store holds nothing of the person."""
        return not self.conversations and not self.quarantine

    @property
    def only_unreadable(self) -> bool:
        """Whether only unreadable records were found, so that no conversation confirms whose they are."""
        return not self.conversations and bool(self.quarantine)

    def as_dict(self) -> dict[str, Any]:
        """Return counts and names for the user."""
        return {
            "conversations": self.conversations,
            "rows": dict(self.rows),
            "files": self.files,
            "matched": [{"conversation_id": name, "by": by} for name, by in sorted(self.person.reasons.items())],
            "quarantine": len(self.quarantine),
            "unreadable": [match.as_dict() for match in self.quarantine],
            "related": self.related,
            "versions": {"gone": list(self.gone), "kept": list(self.kept_versions)},
            "models": dict(self.models),
        }


def preview(store: Store, request: ErasureRequest) -> Preview:
    """Find a person's data, which reads every file of every table and changes none.

    Raises:
        DamageError: a table is damaged, so that the person's rows might not be found or other rows might change.
    """
    for zone, name in (*tables(store), (RAW, QUARANTINE)):
        if store.exists(zone, name):
            store.snapshot(zone, name).check_recorded()
    person = find(store, request)
    catalog = Catalog(store.root / "catalog")
    readable = ancestors(catalog, models_of(catalog, kept_versions(store, catalog)))
    touched = {place: count for place in tables(store) if (count := files_of(store, *place, person))}
    rows = {name: count for zone, name in touched if (count := _count(store, zone, name, person))}
    affected = [each for each in catalog.versions if (each.zone, each.dataset) in touched and not each.gone]
    return Preview(
        person,
        len(person.conversations),
        rows,
        sorted(version.name for version in affected if version.name not in readable),
        sorted(version.name for version in affected if version.name in readable),
        _models(store, catalog, person),
        sum(touched.values()),
        unreadable(store, person, request),
        len(person.related),
    )


def prepare(store: Store, request: ErasureRequest, preview: Preview, reason: str) -> Journal:
    """Write the journal, which `commit_prepared` commits; from then on runs refuse the store until the erasure is done.

    Args:
        preview: from `preview()`, under the same lock.
        reason: a short code for the ledger.
    """
    key_id, key = store.key()
    person, now = preview.person, datetime.now(UTC)
    until = max(filter(None, (now, person.latest)))
    names = {*person.conversations, *request.conversations}
    journal = Journal(
        id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        erased_at=now.isoformat(),
        until=until.isoformat(),
        reason=reason,
        key_id=key_id,
        customers=sorted(person.customers),
        person_keys=sorted(person.person_keys),
        conversations=sorted(conversation_hash(key, name) for name in names),
        records=traces.hashed({match.raw for match in preview.quarantine}, key),
        rows=dict(preview.rows),
        models=dict(preview.models),
        counts={"related": preview.related, "unreadable": [match.as_dict() for match in preview.quarantine]},
    )
    journal.save(store.root / "ledger", PREPARED)
    return journal


def finish(store: Store, journal: Journal, say: Say) -> dict[str, Any]:
    """Complete an erasure from the phase it is in; the caller holds the lock.

    Returns:
        Counts and names of the erased data.
    """
    ledger = store.root / "ledger"
    if journal.phase == "rewrite":
        shutil.rmtree(store.root / SCRATCH, ignore_errors=True)
        _rewrite(store, journal, say)
        journal.phase = "swap"
        journal.save(ledger)
    _swap(store)
    record(ledger, journal)
    _publish(store, journal)
    say("  the catalog is up to date")
    _mark_models(store, journal)
    journal.remove(ledger)
    return {"erasure": journal.id, "erased_at": journal.erased_at, "rows": journal.rows, **journal.counts}


def _rewrite(store: Store, journal: Journal, say: Say) -> None:
    from deskloop.engine.retention import forget

    keys = _secrets(store)
    person = from_hashes(store, journal.customers, journal.conversations, keys)
    catalog = Catalog(store.root / "catalog")
    readable = kept_versions(store, catalog)
    journal.kept_versions = sorted(readable)
    wanted: dict[tuple[str, str], set[int]] = {}
    for version in catalog.versions:
        if version.kind == "dataset" and version.name in readable:
            wanted.setdefault((version.zone, version.dataset), set()).add(version.delta_version)
            wanted.setdefault(rejects_of(version), set()).add(version.rejects_version)
    for zone, name in tables(store):
        if files_of(store, zone, name, person):
            versions = sorted(wanted.get((zone, name), set()) - {-1}) or [store.delta_version(zone, name)]
            rewritten = rewrite(store, zone, name, versions, person)
            journal.tables[f"{zone}/{name}"] = {str(old): asdict(new) for old, new in rewritten.items()}
            last = rewritten[versions[-1]]
            say(f"  {name:<18} {last.erased:>7,} rows erased, {last.rows:>9,} kept")
    alone = traces.texts_alone(store, catalog, person)
    stale, pieces = traces.artifacts_with(store, alone)
    for digest in stale:
        Ledger(store.root / "ledger").forget_artifact(digest)
    journal.counts |= {
        "conversations": len(person.conversations),
        "quarantine": traces.rewrite_quarantine(store, journal.records, keys),
        "families": traces.rewrite_families(store, person),
        "expired": forget(store.root / "ledger", person.conversations),
        "generated": traces.forget_texts(store, alone.turns),
        "reports": traces.clean_reports(store, person),
        "accesses": traces.clean_access(store, person),
        "learned_anew": sorted(set(stale.values())),
        "tokenizer_words": pieces,
    }
    traces.remove_checkpoints(store)


def _swap(store: Store) -> None:
    """Replace each table by the new one; tables that are no longer in the scratch store were replaced before a kill."""
    scratch = store.root / SCRATCH
    for zone in ("raw", "clean", "ledger"):
        for new in sorted((scratch / zone).glob("[!.]*")):
            old = store.root / zone / new.name
            shutil.rmtree(old, ignore_errors=True)
            new.rename(old)
    shutil.rmtree(scratch, ignore_errors=True)


def _publish(store: Store, journal: Journal) -> None:
    """Commit the new records to the catalog, unless this was done before a kill."""
    catalog = Catalog(store.root / "catalog")
    run_id = f"erase-{journal.id}"
    if any(version.run_id == run_id for version in catalog.versions):
        return
    rewritten = {
        (zone, name): {int(old): Rewritten(**new) for old, new in versions.items()}
        for (zone, _, name), versions in ((place.partition("/"), each) for place, each in journal.tables.items())
    }
    digest = erasures_digest(erased(store.root / "ledger", _secrets(store)).erasures)
    replaced, published = superseded(catalog, rewritten, set(journal.kept_versions), digest, journal.erased_at, run_id)
    published = counted(store, catalog, published)
    journal.counts["versions"] = {
        "published": [version.name for version in published],
        "kept": [each.name for each in replaced if not each.gone and each.erased_at == journal.erased_at],
        "gone": [version.name for version in replaced if version.gone],
    }
    journal.save(store.root / "ledger")
    if replaced or published:
        catalog.supersede([*replaced, *published])


def _mark_models(store: Store, journal: Journal) -> None:
    """Mark the models that were trained on the person's rows in the registry."""
    from deskloop.models import Registry

    registry = Registry(store.root)
    marked = []
    for name, rows in journal.models.items():
        model = registry.note_erasure(name, journal.id, rows, journal.erased_at)
        aliases = list(model.aliases) if model else []
        marked.append({"model": name, "rows": rows, "version": model.version if model else None, "aliases": aliases})
    journal.counts["models"] = marked


def _models(store: Store, catalog: Catalog, person: Person) -> dict[str, int]:
    """Return model -> rows of the person that it was trained on, including models whose folders were deleted."""
    by_name = {version.name: version for version in catalog.versions}
    trained = {}
    for model in (version for version in catalog.versions if version.kind == "model"):
        data = [by_name[parent.name] for parent in model.parents if parent.name in by_name]
        readable = [version for version in data if version.kind == "dataset" and not version.gone]
        if rows := sum(_count(store, each.zone, each.dataset, person, each.delta_version) for each in readable):
            trained[model.name] = rows
    return trained


def _count(store: Store, zone: str, name: str, person: Person, version: int | None = None) -> int:
    at = store.delta_version(zone, name) if version is None else version
    columns = [column for column in MARKS if column in store.schema(zone, name, at).names]
    return sum(sum(person.rows(batch)) for batch in store.batches(zone, name, at, columns))


def _secrets(store: Store) -> tuple[bytes, ...]:
    keys = store.keys()
    return tuple(key.secret for key in keys)

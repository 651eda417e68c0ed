"""The erasure itself: what would go, the journal, and the way from there to a store without the person.

    rewrite   every table that holds the person is written afresh in `.erase/`, beside the zones; memo, reports,
              checkpoints and artifacts are cleaned where they are
    swap      each new table takes its place by a rename; the ledger's entry, the catalog's records, the models' marks

Killed in `rewrite`, it starts that phase again, as the store still is what it was; killed in `swap`, it goes on with
what is left to put in place. The rows of the person are read in `rewrite` alone.
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
from deskloop.erase.search import MARKS, QUARANTINE, Asked, Person, again, find, tables
from deskloop.erase.unreadable import Match, unreadable
from deskloop.erase.versions import ancestors, counted, kept_versions, models_of, rejects_of, superseded
from deskloop.store.catalog import Catalog, Version
from deskloop.store.erasures import PREPARED, Journal, erased, erasures_digest, record
from deskloop.store.ledger import Ledger
from deskloop.store.store import Store
from deskloop.store.zones import RAW

Say = Callable[[str], None]


@dataclass(frozen=True)
class Preview:
    """What an erasure would do to a store; nothing has been changed.

    Attributes:
        rows: dataset -> rows of its latest version that go; rejects tables too.
        gone: versions that cannot be read afterwards; `kept` are those that models were made from, which go on without
            the person. The latest ones go on under new numbers.
        models: name@version -> rows of the person that it was trained on.
        files: of tables, that hold a row of the person.
        quarantine: unreadable records that hold an identifier of the person.
        related: conversations that share an e-mail or phone with the person's but name somebody else too; they stay.
    """

    person: Person
    conversations: int
    rows: Mapping[str, int]
    gone: Sequence[str]
    kept: Sequence[str]
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
        """Whether nothing but records that could not be read was found, so that nothing confirms whose they are."""
        return not self.conversations and bool(self.quarantine)

    def as_dict(self) -> dict[str, Any]:
        """Counts and names, for the user."""
        return {
            "conversations": self.conversations,
            "rows": dict(self.rows),
            "files": self.files,
            "matched": [{"conversation_id": name, "by": by} for name, by in sorted(self.person.reasons.items())],
            "quarantine": len(self.quarantine),
            "unreadable": [one.as_dict() for one in self.quarantine],
            "related": self.related,
            "versions": {"gone": list(self.gone), "kept": list(self.kept)},
            "models": dict(self.models),
        }


def preview(store: Store, asked: Asked) -> Preview:
    """Look for a person and tell what would go; reads every file of every table, changes nothing.

    Raises:
        DamageError: a table is damaged: the person could not be recognised in it, or other rows would change.
    """
    for zone, name in (*tables(store), (RAW, QUARANTINE)):
        if store.exists(zone, name):
            store.snapshot(zone, name).check_recorded()
    person = find(store, asked)
    catalog = Catalog(store.root / "catalog")
    kept = ancestors(catalog, models_of(catalog, kept_versions(store, catalog)))
    touched = {place: count for place in tables(store) if (count := files_of(store, *place, person))}
    rows = {name: count for zone, name in touched if (count := _count(store, zone, name, person))}
    held = [one for one in catalog.versions if (one.zone, one.dataset) in touched and not one.gone]
    return Preview(
        person,
        len(person.conversations),
        rows,
        sorted(one.name for one in held if one.name not in kept),
        sorted(one.name for one in held if one.name in kept),
        _models(store, catalog, person),
        sum(touched.values()),
        unreadable(store, person, asked),
        len(person.related),
    )


def prepare(store: Store, asked: Asked, found: Preview, reason: str) -> Journal:
    """Write the journal, which `make_certain` puts in force: then runs keep off the store until the erasure is done.

    Args:
        found: from `preview`, under the same lock.
        reason: a short code for the ledger.
    """
    key_id, key = store.key()
    person, now = found.person, datetime.now(UTC)
    until = max(filter(None, (now, person.latest)))
    names = {*person.conversations, *asked.conversations}
    journal = Journal(
        id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        erased_at=now.isoformat(),
        until=until.isoformat(),
        reason=reason,
        key_id=key_id,
        customers=sorted(person.customers),
        own=sorted(person.own),
        conversations=sorted(conversation_hash(key, name) for name in names),
        records=traces.hashed({one.raw for one in found.quarantine}, key),
        rows=dict(found.rows),
        models=dict(found.models),
        told={"related": found.related, "unreadable": [one.as_dict() for one in found.quarantine]},
    )
    journal.save(store.root / "ledger", PREPARED)
    return journal


def finish(store: Store, journal: Journal, say: Say) -> dict[str, Any]:
    """Bring an erasure to its end, wherever it was; the lock is held by the caller.

    Returns:
        What was done: counts and names.
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
    say("  the catalog tells of the versions as they are now")
    _mark_models(store, journal)
    journal.remove(ledger)
    return {"erasure": journal.id, "erased_at": journal.erased_at, "rows": journal.rows, **journal.told}


def _rewrite(store: Store, journal: Journal, say: Say) -> None:
    from deskloop.engine.retention import forget

    keys = _secrets(store)
    person = again(store, journal.customers, journal.conversations, keys)
    catalog = Catalog(store.root / "catalog")
    kept = kept_versions(store, catalog)
    journal.kept = sorted(kept)
    wanted: dict[tuple[str, str], set[int]] = {}
    for one in catalog.versions:
        if one.kind == "dataset" and one.name in kept:
            wanted.setdefault((one.zone, one.dataset), set()).add(one.delta_version)
            wanted.setdefault(rejects_of(one), set()).add(one.rejects_version)
    for zone, name in tables(store):
        if files_of(store, zone, name, person):
            versions = sorted(wanted.get((zone, name), set()) - {-1}) or [store.delta_version(zone, name)]
            made = rewrite(store, zone, name, versions, person)
            journal.tables[f"{zone}/{name}"] = {str(one): asdict(new) for one, new in made.items()}
            say(f"  {name:<18} {made[versions[-1]].erased:>7,} rows out, {made[versions[-1]].rows:>9,} stay")
    alone = traces.texts_alone(store, catalog, person)
    stale, pieces = traces.learned(store, alone)
    for digest in stale:
        Ledger(store.root / "ledger").forget_artifact(digest)
    journal.told |= {
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
    """Put every new table in its place; what is there already was put there before a kill."""
    scratch = store.root / SCRATCH
    for zone in ("raw", "clean", "ledger"):
        for new in sorted((scratch / zone).glob("[!.]*")):
            place = store.root / zone / new.name
            shutil.rmtree(place, ignore_errors=True)
            new.rename(place)
    shutil.rmtree(scratch, ignore_errors=True)


def _publish(store: Store, journal: Journal) -> None:
    """One commit to the catalog, unless it was made before a kill."""
    catalog = Catalog(store.root / "catalog")
    run_id = f"erase-{journal.id}"
    if any(one.run_id == run_id for one in catalog.versions):
        return
    made = {
        (zone, name): {int(old): Rewritten(**new) for old, new in versions.items()}
        for (zone, _, name), versions in ((place.partition("/"), own) for place, own in journal.tables.items())
    }
    digest = erasures_digest(erased(store.root / "ledger", _secrets(store)).erasures)
    replaced, published = superseded(catalog, made, set(journal.kept), digest, journal.erased_at, run_id)
    published = counted(store, catalog, published)
    journal.told["versions"] = {
        "published": [one.name for one in published],
        "kept": [one.name for one in replaced if not one.gone and one.erased_at == journal.erased_at],
        "gone": [one.name for one in replaced if one.gone],
    }
    journal.save(store.root / "ledger")
    if replaced or published:
        catalog.supersede([*replaced, *published])


def _mark_models(store: Store, journal: Journal) -> None:
    """The registry's versions of the models that were trained on the person's rows."""
    from deskloop.models import Registry

    registry = Registry(store.root)
    told = []
    for name, rows in journal.models.items():
        found = registry.note_erasure(name, journal.id, rows, journal.erased_at)
        aliases = list(found.aliases) if found else []
        told.append({"model": name, "rows": rows, "version": found.version if found else None, "aliases": aliases})
    journal.told["models"] = told


def _models(store: Store, catalog: Catalog, person: Person) -> dict[str, int]:
    """Models that were trained on rows of the person, with how many; removed folders do not matter."""
    by_name = {one.name: one for one in catalog.versions}
    found = {}
    for model in (one for one in catalog.versions if one.kind == "model"):
        data = [by_name[parent.name] for parent in model.parents if parent.name in by_name]
        rows = sum(_theirs(store, one, person) for one in data if one.kind == "dataset" and not one.gone)
        if rows:
            found[model.name] = rows
    return found


def _theirs(store: Store, version: Version, person: Person) -> int:
    return _count(store, version.zone, version.dataset, person, version.delta_version)


def _count(store: Store, zone: str, name: str, person: Person, version: int | None = None) -> int:
    at = store.delta_version(zone, name) if version is None else version
    columns = [one for one in MARKS if one in store.schema(zone, name, at).names]
    return sum(sum(person.rows(batch)) for batch in store.batches(zone, name, at, columns))


def _secrets(store: Store) -> tuple[bytes, ...]:
    keys = store.keys()
    return tuple(key.secret for key in keys)

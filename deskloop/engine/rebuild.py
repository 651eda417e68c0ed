"""Rebuilding of damaged datasets by their own steps, from the parent versions, which are verified as well.

retire   marks versions that can no longer be read in the catalog, before their table is overwritten
rebuild  runs the step again in full and overwrites its table without reading it (`Engine.rebuild`)
revive   publishes the rebuilt versions under their old names if their rows are the same, so that all versions that
         were computed from them are reused
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime

from deskloop.contract.errors import DamageError
from deskloop.engine.workspace import Workspace
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Catalog, Version
from deskloop.store.checksums import damage
from deskloop.store.delta import can_stay
from deskloop.store.digest import table_digest
from deskloop.store.store import Store


def check_unrecorded(store: Store, version: Version) -> None:
    """Compare a version without checksums, from an earlier version of deskloop, with its digest in the catalog.

    Raises:
        DamageError: its rows do not match.
    """
    if version.kind != "dataset":
        return
    commit = store.snapshot(version.zone, version.dataset, version.delta_version)
    if not commit.is_recorded and table_digest(commit.table(["_hash"])["_hash"]) != version.digest:
        raise damage(commit.folder, f"its rows do not match the digest of {version.name}")


def retire(work: Workspace, step: Step, broken: Sequence[str]) -> None:
    """Mark the versions of a step that cannot be read, since their table is about to be overwritten."""
    now = datetime.now(UTC).isoformat()
    zone = step.data.zone[1]
    lost = {name for name in broken if not can_stay(work.store.folder("clean" if name == step.rejects else zone, name))}
    retired = []
    for version in work.catalog.versions:
        if version.step == step.name and version.kind == "dataset" and not version.gone:
            problem = _problem(work.store, version, lost)
            if problem:
                details = version.details | {"damaged": problem}
                retired.append(replace(version, gone=True, delta_version=-1, erased_at=now, details=details))
    if retired:
        work.catalog.supersede(retired)


def _problem(store: Store, version: Version, lost: Set[str]) -> str:
    """Return why a version cannot be read, now or after the lost tables are overwritten; "" if it can."""
    affected = sorted(lost & {version.dataset, f"{version.step}.rejects"})
    try:
        store.check(version, thorough=True)
    except DamageError as error:
        return f"{error.name} was damaged: {error.problem}"
    return f"{affected[0]} was damaged: its log could not be kept" if affected else ""


def revive(catalog: Catalog, versions: Sequence[Version]) -> list[Version]:
    """Publish rebuilt versions, under their old names if their rows are the same, and as new versions otherwise."""
    rebuilt = {version.dataset: version for version in versions}
    revived = []
    for old in catalog.versions:
        new = rebuilt.get(old.dataset)
        if new is None or not old.gone or "damaged" not in old.details or old.digest != new.digest:
            continue
        rejects = new.rejects_version if old.fingerprint == new.fingerprint else -1
        details = {name: value for name, value in old.details.items() if name != "damaged"}
        moved = replace(old, delta_version=new.delta_version, rejects_version=rejects)
        revived.append(replace(moved, gone=False, erased_at="", why=new.why, details=details))
    if revived:
        catalog.supersede(revived)
    readable = [old for version in versions for old in catalog.find(version.step, version.fingerprint)]
    same = {old.dataset: old for old in readable if rebuilt[old.dataset].digest == old.digest}
    if same.keys() == rebuilt.keys():
        return [same[version.dataset] for version in versions]
    return catalog.publish(versions)

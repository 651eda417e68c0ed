"""Rebuilding of damaged datasets by their own steps, from the parent versions, which are verified as well.

retire   marks versions that can no longer be read in the catalog, before their table is overwritten
rebuild  runs the step again in full and overwrites its table without reading it
revive   publishes the rebuilt versions under their old names if their rows are the same, so that all versions that
         were computed from them are reused
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deskloop.contract.errors import DamageError
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Catalog, Version
from deskloop.store.checksums import damage
from deskloop.store.delta import can_stay
from deskloop.store.digest import table_digest
from deskloop.store.store import Store

if TYPE_CHECKING:
    from deskloop.engine.engine import Engine, Made


def rebuild(engine: "Engine", error: DamageError, under_way: Step | None) -> None:
    """Run the step that wrote a damaged table again; if it is the step in progress, leave this to its next attempt.

    Args:
        error: the damage.
        under_way: the step that detected the damage; None outside a step.
    Raises:
        DamageError: the table cannot be rebuilt, or a rebuild was already attempted.
    """
    steps = [step for step in engine.pipeline.steps if error.name in step.tables]
    if error.zone != "clean" or not steps or error.name in engine.attempted:
        raise error
    engine.attempted.add(error.name)
    engine.decider.broken[error.name] = error.problem
    (step,) = steps
    if step is under_way:
        return
    # A run may have reused an earlier version; outside a run, the latest one is rebuilt.
    made = engine.made.get(step.name)
    version = made.versions[0] if made else engine.catalog.latest(next(iter(step.datasets.values())))
    if version is None:
        raise error
    names = [parent.name for parent in version.parents if engine.catalog.find_name(parent.name) is not None]

    def again() -> "Made":
        return engine.bring_up(step, {"rows": [engine.catalog.get(name) for name in names]})

    engine.made[step.name] = engine.rebuilt[step.name] = engine.mended(again, step)


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


def retire(engine: "Engine", step: Step, broken: Sequence[str]) -> None:
    """Mark the versions of a step that cannot be read, since their table is about to be overwritten."""
    now = datetime.now(UTC).isoformat()
    zone = step.data.zone[1]
    lost = {
        name for name in broken if not can_stay(engine.store.folder("clean" if name == step.rejects else zone, name))
    }
    retired = []
    for version in engine.catalog.versions:
        if version.step == step.name and version.kind == "dataset" and not version.gone:
            problem = _problem(engine.store, version, lost)
            if problem:
                details = version.details | {"damaged": problem}
                retired.append(replace(version, gone=True, delta_version=-1, erased_at=now, details=details))
    if retired:
        engine.catalog.supersede(retired)


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

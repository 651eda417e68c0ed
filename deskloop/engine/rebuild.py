"""A damaged dataset is rebuilt by its own step, from the versions that it was made from; these are verified in turn.

retire   versions that cannot be read any more are marked in the catalog, before their table is written anew
rebuild  the step runs again in full; its table is not read, but started anew
revive   the same rows as before: the versions stand again under their old names, so that everything that was
         made from them is reused
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


def rebuild(engine: "Engine", found: DamageError, under_way: Step | None) -> None:
    """Run the step that made a damaged table again; where that is the step under way, leave it to its next attempt.

    Args:
        under_way: the step that came across the damage; None outside of a step.
    Raises:
        DamageError: nothing can rebuild it, or that was tried already.
    """
    steps = [step for step in engine.pipeline.steps if found.name in step.tables]
    if found.zone != "clean" or not steps or found.name in engine.attempted:
        raise found
    engine.attempted.add(found.name)
    engine.decider.broken[found.name] = found.problem
    (step,) = steps
    if step is under_way:
        return
    # The version that this run stands on may be an earlier one, which was reused; before a run it is the latest.
    made = engine.made.get(step.name)
    version = made.versions[0] if made else engine.catalog.latest(next(iter(step.datasets.values())))
    if version is None:
        raise found
    names = [one.name for one in version.parents if engine.catalog.find_name(one.name) is not None]

    def again() -> "Made":
        return engine.bring_up(step, {"rows": [engine.catalog.get(name) for name in names]})

    engine.made[step.name] = engine.rebuilt[step.name] = engine.mended(again, step)


def check_unrecorded(store: Store, version: Version) -> None:
    """Compare a version that has no checksums, of an earlier deskloop, with its digest in the catalog.

    Raises:
        DamageError: its rows are others.
    """
    if version.kind != "dataset":
        return
    found = store.snapshot(version.zone, version.dataset, version.delta_version)
    if found.is_recorded:
        return
    if table_digest(found.table(["_hash"])["_hash"]) != version.digest:
        raise damage(found.folder, f"its rows do not match the digest of {version.name}")


def retire(engine: "Engine", step: Step, broken: Sequence[str]) -> None:
    """Mark the versions of a step that cannot be read: their table is about to be written anew."""
    now = datetime.now(UTC).isoformat()
    zone = step.data.zone[1]
    lost = {
        name for name in broken if not can_stay(engine.store.folder("clean" if name == step.rejects else zone, name))
    }
    retired = []
    for one in engine.catalog.versions:
        if one.step == step.name and one.kind == "dataset" and not one.gone:
            told = _unreadable(engine.store, one, lost)
            if told:
                marks = one.details | {"damaged": told}
                retired.append(replace(one, gone=True, delta_version=-1, erased_at=now, details=marks))
    if retired:
        engine.catalog.supersede(retired)


def _unreadable(store: Store, version: Version, lost: Set[str]) -> str:
    """What is wrong with a version; "" where it can be read, and will be when the lost tables are gone."""
    gone = sorted(lost & {version.dataset, f"{version.step}.rejects"})
    try:
        store.check(version, thorough=True)
    except DamageError as error:
        return f"{error.name} was damaged: {error.problem}"
    return f"{gone[0]} was damaged: its log could not be kept" if gone else ""


def revive(catalog: Catalog, versions: Sequence[Version]) -> list[Version]:
    """Publish what was rebuilt: under the old names where it is the same, as new versions where it is not."""
    new = {one.dataset: one for one in versions}
    again = []
    for old in catalog.versions:
        one = new.get(old.dataset)
        if one is None or not old.gone or "damaged" not in old.details or old.digest != one.digest:
            continue
        rejects = one.rejects_version if old.fingerprint == one.fingerprint else -1
        details = {name: value for name, value in old.details.items() if name != "damaged"}
        here = replace(old, delta_version=one.delta_version, rejects_version=rejects)
        again.append(replace(here, gone=False, erased_at="", why=one.why, details=details))
    if again:
        catalog.supersede(again)
    standing = [catalog.find(one.step, one.fingerprint) for one in versions]
    same = {old.dataset: old for found in standing for old in found if new[old.dataset].digest == old.digest}
    if same.keys() == new.keys():
        return [same[one.dataset] for one in versions]
    return catalog.publish(versions)

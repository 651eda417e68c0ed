"""What the catalog says afterwards: which versions are kept, which are gone, and the current ones published again.

A version is kept if it is its dataset's latest, or if a model whose folder is there was made from it, directly or not.
The latest are published again under new numbers, with the digest and the fingerprint that a run without the person
comes to, so that the next run reuses them. Kept older ones go on under their own names, without the person.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from deskloop.engine.decide import fingerprint_of
from deskloop.erase.rewrite import Rewritten
from deskloop.store.catalog import Catalog, Parent, Version
from deskloop.store.store import Store

Tables = Mapping[tuple[str, str], Mapping[int, Rewritten]]
WHY = "a person was erased"


def kept_versions(store: Store, catalog: Catalog) -> set[str]:
    """Names of the versions that stay readable."""
    latest = {one.dataset: one for one in catalog.versions}  # ascending, so the last one stands
    models = {one.name for one in catalog.versions if one.kind == "model" and model_folder(store, one)}
    judged = [one for one in catalog.versions if one.kind == "evaluation" and _parents(one) & models]
    return ancestors(catalog, [*(one.name for one in latest.values()), *models, *(one.name for one in judged)])


def models_of(catalog: Catalog, kept: Collection[str]) -> list[str]:
    """Names of the kept models and evaluations."""
    return [one.name for one in catalog.versions if one.kind != "dataset" and one.name in kept]


def model_folder(store: Store, version: Version) -> str:
    """Where a model lies, empty if it was removed."""
    folder = store.root / "models" / version.dataset / version.fingerprint[:16]
    return str(folder) if folder.is_dir() else ""


def rejects_of(version: Version) -> tuple[str, str]:
    """The table of the rows that a version's step took out."""
    return "clean", f"{version.step}.rejects"


def superseded(
    catalog: Catalog, tables: Tables, kept: Collection[str], erasures: str, at: str, run_id: str
) -> tuple[list[Version], list[Version]]:
    """(records that take the place of earlier ones, versions to publish), in the order of publication.

    Args:
        tables: what became of the Delta versions of tables that held the person.
        erasures: digest of all erasures, this one included: part of what a source is read under.
        at: when, ISO 8601.
    """
    latest = {one.dataset: one.name for one in catalog.versions}
    current = set(latest.values())
    modelled = ancestors(catalog, models_of(catalog, kept))
    found: dict[str, Parent] = {}  # a version's name -> what a child of it names as its parent now
    replaced, published = [], []
    for one in _parents_first(catalog.versions):
        if one.kind != "dataset" or one.gone:
            continue
        touched = (one.zone, one.dataset) in tables
        if touched and one.name not in kept:
            replaced.append(_gone(one, at))
            continue
        new = _without(one, tables, found, erasures)
        found[one.name] = new.as_parent()
        if one.name in current and new != one:
            number = one.version + 1
            published.append(
                replace(new, version=number, why=WHY, erased_at=at, published_at=at, run_id=run_id, touched=0)
            )
            found[one.name] = replace(new.as_parent(), version=number)
        if touched and one.name in current - modelled:  # it makes way for its heir
            replaced.append(_gone(one, at))
        elif new != one:
            replaced.append(replace(new, erased_at=at) if touched else new)
    return replaced, published


def _gone(version: Version, at: str) -> Version:
    return replace(version, gone=True, delta_version=-1, rejects_version=-1, fingerprint="", erased_at=at)


def _without(one: Version, tables: Tables, found: Mapping[str, Parent], erasures: str) -> Version:
    """A version as it is without the person: place, rows, digest, counts, parents and fingerprint."""
    new = one
    made = tables.get((one.zone, one.dataset), {}).get(one.delta_version)
    if made is not None:
        new = replace(new, delta_version=made.delta_version, rows=made.rows, digest=made.digest)
    parents = [found.get(parent.name, parent) for parent in one.parents]
    fingerprint = fingerprint_of(one.recipe, one.artifact, [two for _, two in one.inputs], parents, erasures)
    new = replace(new, parents=parents, fingerprint=fingerprint)
    rejects = tables.get(rejects_of(one))
    if rejects is not None:
        left = rejects.get(one.rejects_version)
        new = replace(new, rejects_version=left.delta_version if left else -1)
    return new


def counted(store: Store, catalog: Catalog, versions: Sequence[Version]) -> list[Version]:
    """Versions that are about to be published, with the counts of their steps as they are now."""
    rows_of = {one.name: one.rows for one in (*catalog.versions, *versions)}
    result = []
    for one in versions:
        rejects = store.read(*rejects_of(one), one.rejects_version, ["reason"])["reason"].to_pylist()
        out, rejected = sum(two.rows for two in versions if two.step == one.step), len(rejects)
        rows_in = sum(rows_of[parent.name] for parent in one.parents) if one.parents else out + rejected
        reasons = dict(Counter(rejects).most_common())
        added = out + rejected - rows_in
        result.append(replace(one, rows_in=rows_in, rows_out=out, added=added, rejected=rejected, reasons=reasons))
    return result


def _parents_first(versions: Sequence[Version]) -> list[Version]:
    """The versions in an order in which each comes after those it was made from."""
    by_name = {one.name: one for one in versions}
    ordered: dict[str, Version] = {}
    for one in versions:
        stack = [one.name]
        while stack:
            missing = sorted(name for name in _parents(by_name[stack[-1]]) if name in by_name and name not in ordered)
            if missing:
                stack += missing
            else:
                name = stack.pop()
                ordered.setdefault(name, by_name[name])
    return list(ordered.values())


def ancestors(catalog: Catalog, names: Sequence[str]) -> set[str]:
    """These versions and all that they were made from, as far as it is there."""
    by_name = {one.name: one for one in catalog.versions}
    found, queue = set[str](), list(names)
    while queue:
        name = queue.pop()
        if name in by_name and name not in found and not by_name[name].gone:
            found.add(name)
            queue += _parents(by_name[name])
    return found


def _parents(version: Version) -> set[str]:
    return {parent.name for parent in version.parents}

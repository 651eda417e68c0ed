"""The catalog's records after an erasure: which versions are kept, which are gone, and which are published again.

A version is kept if it is its dataset's latest, or if an existing model was trained on it, directly or indirectly.
The latest versions are published again under new numbers, with the digest and the fingerprint that a run without the
person would give, so that the next run reuses them. Older versions that are kept retain their names.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from deskloop.engine.decide import fingerprint_of
from deskloop.erase.rewrite import Rewritten
from deskloop.models.folder import folder_of
from deskloop.store.catalog import Catalog, Parent, Version
from deskloop.store.store import Store

Tables = Mapping[tuple[str, str], Mapping[int, Rewritten]]
WHY = "a person was erased"


def kept_versions(store: Store, catalog: Catalog) -> set[str]:
    """Return the names of the versions that stay readable."""
    latest = {version.dataset: version.name for version in catalog.versions}  # in ascending order
    models = {v.name for v in catalog.versions if v.kind == "model" and folder_of(store.root, v).is_dir()}
    scores = [each.name for each in catalog.versions if each.kind == "evaluation" and _parents(each) & models]
    return ancestors(catalog, [*latest.values(), *models, *scores])


def models_of(catalog: Catalog, readable: Collection[str]) -> list[str]:
    """Return the names of the kept models and evaluations."""
    return [version.name for version in catalog.versions if version.kind != "dataset" and version.name in readable]


def rejects_of(version: Version) -> tuple[str, str]:
    """Return (zone, name) of the table of rows that a version's step rejected."""
    return "clean", f"{version.step}.rejects"


def superseded(
    catalog: Catalog, tables: Tables, readable: Collection[str], erasures: str, at: str, run_id: str
) -> tuple[list[Version], list[Version]]:
    """Return (records that replace earlier ones, versions to publish), in the order of publication.

    Args:
        tables: the rewritten Delta versions of tables with rows of the person.
        erasures: digest of all erasures including this one, which is part of a source's fingerprint.
        at: time of the erasure, ISO 8601.
    """
    current = set({version.dataset: version.name for version in catalog.versions}.values())
    modelled = ancestors(catalog, models_of(catalog, readable))
    parents: dict[str, Parent] = {}  # a version's name -> the parent that its children record from now on
    replaced, published = [], []
    for version in _parents_first(catalog.versions):
        if version.kind != "dataset" or version.gone:
            continue
        touched = (version.zone, version.dataset) in tables
        if touched and version.name not in readable:
            replaced.append(_gone(version, at))
            continue
        new = _without(version, tables, parents, erasures)
        parents[version.name] = new.as_parent()
        if version.name in current and new != version:
            number = version.version + 1
            published.append(
                replace(new, version=number, why=WHY, erased_at=at, published_at=at, run_id=run_id, touched=0)
            )
            parents[version.name] = replace(new.as_parent(), version=number)
        if touched and version.name in current - modelled:  # the version just published replaces it
            replaced.append(_gone(version, at))
        elif new != version:
            replaced.append(replace(new, erased_at=at) if touched else new)
    return replaced, published


def _gone(version: Version, at: str) -> Version:
    return replace(version, gone=True, delta_version=-1, rejects_version=-1, fingerprint="", erased_at=at)


def _without(version: Version, tables: Tables, replaced: Mapping[str, Parent], erasures: str) -> Version:
    """Return a version's record without the person: Delta version, rows, digest, parents and fingerprint."""
    new = version
    rows = tables.get((version.zone, version.dataset), {}).get(version.delta_version)
    if rows is not None:
        new = replace(new, delta_version=rows.delta_version, rows=rows.rows, digest=rows.digest)
    parents = [replaced.get(parent.name, parent) for parent in version.parents]
    inputs = [digest for _, digest in version.inputs]
    fingerprint = fingerprint_of(version.recipe, version.artifact, inputs, parents, erasures)
    new = replace(new, parents=parents, fingerprint=fingerprint)
    if rejects_of(version) in tables:
        rejects = tables[rejects_of(version)].get(version.rejects_version)
        new = replace(new, rejects_version=rejects.delta_version if rejects else -1)
    return new


def counted(store: Store, catalog: Catalog, versions: Sequence[Version]) -> list[Version]:
    """Recompute the row counts of versions that are about to be published."""
    rows_of = {version.name: version.rows for version in (*catalog.versions, *versions)}
    result = []
    for version in versions:
        rejects = store.read(*rejects_of(version), version.rejects_version, ["reason"])["reason"].to_pylist()
        out, rejected = sum(each.rows for each in versions if each.step == version.step), len(rejects)
        rows_in = sum(rows_of[parent.name] for parent in version.parents) if version.parents else out + rejected
        reasons = dict(Counter(rejects).most_common())
        added = out + rejected - rows_in
        result.append(replace(version, rows_in=rows_in, rows_out=out, added=added, rejected=rejected, reasons=reasons))
    return result


def _parents_first(versions: Sequence[Version]) -> list[Version]:
    """Sort versions so that each comes after its parents."""
    by_name = {version.name: version for version in versions}
    ordered: dict[str, Version] = {}
    for version in versions:
        stack = [version.name]
        while stack:
            missing = sorted(name for name in _parents(by_name[stack[-1]]) if name in by_name and name not in ordered)
            if missing:
                stack += missing
            else:
                name = stack.pop()
                ordered.setdefault(name, by_name[name])
    return list(ordered.values())


def ancestors(catalog: Catalog, names: Sequence[str]) -> set[str]:
    """Return the names of these versions and of their readable ancestors."""
    by_name = {version.name: version for version in catalog.versions}
    readable, queue = set[str](), list(names)
    while queue:
        name = queue.pop()
        if name in by_name and name not in readable and not by_name[name].gone:
            readable.add(name)
            queue += _parents(by_name[name])
    return readable


def _parents(version: Version) -> set[str]:
    return {parent.name for parent in version.parents}

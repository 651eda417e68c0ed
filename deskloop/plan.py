"""What a run would do, step by step, without doing it."""

from typing import Any

from deskloop.catalog import Version
from deskloop.config import Pipeline
from deskloop.decide import Decider
from deskloop.store import Store


def plan(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Decide every data step against the published versions; reads inputs' digests and the code, no rows.

    Returns:
        One dict a step: step, action (reuse, extend, compute, unknown), why, versions (what would be reused). Behind
        the first step that would run, digests are not known yet: what follows may still turn out to be reusable.
    """
    store = Store(pipeline.store)
    store.prepare()
    decider = Decider(pipeline, store)
    entries: list[dict[str, Any]] = []
    parents: list[Version] | None = []
    blocker = ""
    for step in pipeline.steps:
        if parents is None:
            why = f"depends on what {blocker} leaves; reused if its digest stays the same"
            entries.append({"step": step.name, "action": "unknown", "why": why, "versions": []})
            continue
        decision = decider.decide(step, parents)
        names = [version.name for version in decision.versions]
        entries.append({"step": step.name, "action": decision.action, "why": decision.why, "versions": names})
        if decision.action == "reuse":
            parents = list(decision.versions)
        else:
            parents, blocker = None, step.name
    return entries

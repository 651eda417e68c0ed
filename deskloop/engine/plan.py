"""What a run would do, step by step, without doing it."""

from collections.abc import Callable, Sequence
from typing import Any

from deskloop.engine.decide import Decider
from deskloop.engine.models import Product, decide
from deskloop.pipeline.load import Pipeline
from deskloop.store.catalog import Version
from deskloop.store.store import Store

Base = Callable[[Pipeline, str], tuple[Product, list[str]]]


def plan(pipeline: Pipeline, base: Base | None = None, model: Product | None = None) -> list[dict[str, Any]]:
    """Decide every step against the published versions; reads inputs' digests and the code, no rows.

    Args:
        base, model: the model part, where the pipeline has one: the base for a tokenizer's hash, and the candidate.
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
            entries.append(_entry(step.name, "unknown", why))
            continue
        decision = decider.decide(step, parents)
        entries.append(_entry(step.name, decision.action, decision.why, decision.versions))
        if decision.action == "reuse":
            parents = list(decision.versions)
        else:
            parents, blocker = None, step.name
    if base is not None and model is not None:
        entries += _model_part(decider, parents, blocker, base, model)
    return entries


def _model_part(
    decider: Decider, encoded: list[Version] | None, blocker: str, base: Base, model: Product
) -> list[dict[str, Any]]:
    """Base and candidate; the evaluation is left open, since it depends on which model is in use by then."""
    if encoded is not None:
        product, extra = base(decider.pipeline, encoded[0].artifact)
        start = decide(decider, product, [], extra)
        entries = [_entry("base", start.action, start.why, start.versions)]
        if start.action == "reuse":
            trained = decide(decider, model, [start.versions[0], *encoded[:2]])
            entries.append(_entry("finetune", trained.action, trained.why, trained.versions))
        else:
            entries.append(_entry("finetune", "unknown", "depends on what base leaves"))
    else:
        why = f"depends on what {blocker} leaves; reused if its digest stays the same"
        entries = [_entry(name, "unknown", why) for name in ("base", "finetune")]
    why = "reused if neither the candidate nor the champion to judge it against has changed"
    return [*entries, _entry("evaluate", "unknown", why)]


def _entry(step: str, action: str, why: str, versions: Sequence[Version] = ()) -> dict[str, Any]:
    return {"step": step, "action": action, "why": why, "versions": [version.name for version in versions]}

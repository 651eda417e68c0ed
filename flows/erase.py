"""A person removed: every erasure that the journals of a pipeline's stores tell of is brought to its end.

Whom it is about is decided before (`deskloop data erase`, deskloop.erase) and stands in the journals as keyed hashes,
so that no id of a customer ever enters Prefect's parameters or its database.
"""

from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from deskloop.contract.progress import say
from deskloop.engine.decide import Decider
from deskloop.engine.firewall import guarded
from deskloop.erase import erase as core
from deskloop.erase.stores import locked, of_pipeline, settle
from deskloop.pipeline.load import load_pipeline
from deskloop.store import zones
from deskloop.store.erasures import pending
from deskloop.store.store import Store
from flows.parameters import run_name
from flows.results import Withheld
from tasks import stages
from tasks.ingest.config import IngestConfig
from tasks.ingest.erased import still_there


@task(task_run_name="erase from {store}", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def erase_task(store: str) -> dict[str, Any]:
    """Finish the erasure that a store's journal tells of; returns counts and names of versions."""
    own = Store(Path(store))
    with guarded("erase", store=own.root), own.locked(erasing=True), zones.allow_raw("erase"):
        journal = pending(own.root / "ledger")
        return core.finish(own, journal, say) if journal is not None else {}


@task(task_run_name="look at the sources", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def sources_task(pipeline: str) -> dict[str, int] | None:
    """Which local source files still hold records that are refused now: file -> how many."""
    loaded = load_pipeline(Path(pipeline), stages())
    decider = Decider(loaded, Store(loaded.store))
    sources = [(step, step.config) for step in loaded.steps if isinstance(step.config, IngestConfig)]
    with guarded("erase", store=loaded.store):
        counts = [still_there(config, decider.context(step)) for step, config in sources]
    readable = [found for found in counts if found is not None]
    if not counts or len(readable) < len(counts):
        return None
    return {file: count for found in readable for file, count in found.items()}


@flow(flow_run_name=run_name, persist_result=False, result_serializer=Withheld())
def erase(pipeline: str) -> dict[str, Any]:
    """Finish what is begun in the stores of a pipeline; returns its own counts, and rows by dataset of its samples."""
    found = of_pipeline(load_pipeline(Path(pipeline), stages()).store)
    with locked(found, erasing=True):
        settle(found)
    documents = {one.root.name: erase_task(str(one.root)) for one in found}
    first, *samples = documents
    told = {name: documents[name].get("rows", {}) for name in samples if documents[name]}
    # The first store may have been done before the process ended; then its counts were told, and what is left is these.
    nothing = {"conversations": 0, "rows": {}, "quarantine": 0, "unreadable": [], "related": 0, "models": []}
    return {**nothing, **documents[first], "samples": told, "sources": sources_task(pipeline)}

"""Complete the erasures that the journals of a pipeline's stores record.

`deskloop data erase` selects the person (deskloop.erase) and writes keyed hashes to the journals, so that no id of a
customer enters Prefect's parameters or its database.
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
from tasks.ingest.erasure import count_erased


@task(task_run_name="erase from {store}", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def erase_task(store: str) -> dict[str, Any]:
    """Complete the erasure that a store's journal records; returns counts and names of versions."""
    opened = Store(Path(store))
    with guarded("erase", store=opened.root), opened.locked(erasing=True), zones.allow_raw("erase"):
        journal = pending(opened.root / "ledger")
        return core.finish(opened, journal, say) if journal is not None else {}


@task(task_run_name="check the sources", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def sources_task(pipeline: str) -> dict[str, int] | None:
    """Count the records in local source files that are refused from now on: file -> how many."""
    loaded = load_pipeline(Path(pipeline), stages())
    decider = Decider(loaded, Store(loaded.store))
    sources = [(step, step.config) for step in loaded.steps if isinstance(step.config, IngestConfig)]
    with guarded("erase", store=loaded.store):
        counts = [count_erased(config, decider.context(step)) for step, config in sources]
    readable = [files for files in counts if files is not None]
    if not counts or len(readable) < len(counts):
        return None
    return {file: count for files in readable for file, count in files.items()}


@flow(flow_run_name=run_name, persist_result=False, result_serializer=Withheld())
def erase(pipeline: str) -> dict[str, Any]:
    """Complete the erasures of a pipeline and its samples; returns counts, and rows by dataset for each sample."""
    stores = of_pipeline(load_pipeline(Path(pipeline), stages()).store)
    with locked(stores, erasing=True):
        settle(stores)
    documents = {store.root.name: erase_task(str(store.root)) for store in stores}
    first, *samples = documents
    rows = {name: documents[name].get("rows", {}) for name in samples if documents[name]}
    # An interrupted call may have completed the first store and reported its counts; then only the samples are left.
    nothing = {"conversations": 0, "rows": {}, "quarantine": 0, "unreadable": [], "related": 0, "models": []}
    return {**nothing, **documents[first], "samples": rows, "sources": sources_task(pipeline)}

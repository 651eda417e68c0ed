"""What the report says of annotate: where the intents come from, and how good the classifier is."""

from collections import Counter
from typing import Any

import orjson

from deskloop.engine.engine import Made
from deskloop.run.session import Run
from deskloop.store.counts import read_batches


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`annotation` of the run's document; the classifier was measured on families that it had not seen."""
    version = made.versions[0]
    sources: Counter[str] = Counter()
    for batch in read_batches(run.store, [version], ["intent_source"]):
        sources.update(source or "none" for source in batch["intent_source"].to_pylist())
    files = run.engine.ledger.files(version.artifact) if version.artifact else {}
    metrics = orjson.loads(files.get("metrics.json", b"null"))
    return {"annotation": {"sources": dict(sources.most_common()), "metrics": metrics}}

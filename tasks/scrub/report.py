"""What the report says of scrub: values replaced by type, languages, and the measured recall."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deskloop.engine.engine import Made
from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.counts import read_batches
from deskloop.store.store import Store


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`entities`, `languages` and `recall` of the run's document."""
    return {**scrubbed(run.store, made.versions), "recall": recall(made.versions[0])}


def scrubbed(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Placeholders by type (how many, in how many conversations), and languages."""
    counts: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for batch in read_batches(store, versions, ["entities", "language"]):
        types = pc.struct_field(pc.list_flatten(batch["entities"]), "type")
        pairs = pa.table({"row": pc.list_parent_indices(batch["entities"]), "type": types})
        counts.update(types.to_pylist())
        touched.update(pairs.group_by(["row", "type"]).aggregate([])["type"].to_pylist())
        languages.update(batch["language"].to_pylist())
    entities = {kind: {"count": count, "conversations": touched[kind]} for kind, count in counts.most_common()}
    return {"entities": entities, "languages": dict(languages.most_common())}


def recall(version: Version) -> dict[str, Any] | None:
    """How many of the planted values were found, over all, by type and by form; None where none were planted."""
    details = version.details
    if "recall" not in details:
        return None
    whole = {name: details[name] for name in ("planted", "found", "low", "high", "disturbed")}
    return {**whole, "types": details["recall"], "forms": details["recall_by_form"]}

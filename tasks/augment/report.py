"""What the report says of augment: copies kept and rejected by generator."""

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from deskloop.engine.engine import Made
from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.counts import read_batches
from deskloop.store.store import Store


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`augmentation` of the run's document."""
    return {"augmentation": augmentation(run.store, made.versions[0])}


def augmentation(store: Store, version: Version) -> list[dict[str, Any]]:
    """Copies kept and dropped by generator, and which generators were off because something is not installed."""
    kept: Counter[str] = Counter()
    for batch in read_batches(store, [version], ["row_id", "origin"]):
        copies = batch.filter(pc.not_equal(batch["origin"], "log"))["row_id"].to_pylist()
        kept.update(map(_generator, copies))
    dropped: dict[str, Counter[str]] = {}
    rejects = store.read("clean", f"{version.step}.rejects", version.rejects_version, ["row_id", "reason"])
    for row_id, reason in zip(rejects["row_id"].to_pylist(), rejects["reason"].to_pylist(), strict=True):
        dropped.setdefault(_generator(row_id), Counter())[reason] += 1
    off = {
        name.partition(": ")[0]: f"{name.partition(': ')[2]} is not installed"
        for name, found in version.details.get("equipment", {}).items()
        if found is None
    }
    declared = [one.get("name") or one["kind"] for one in version.config.get("generators", [])]
    return [
        {
            "generator": name,
            "kept": kept[name],
            "dropped": dict(dropped.get(name, Counter()).most_common()),
            "off": off.get(name),
        }
        for name in dict.fromkeys([*declared, *kept, *dropped])
    ]


def _generator(row_id: str) -> str:
    """The label of the generator that made a copy: `noise` of `HD-1/noise-2`."""
    return row_id.rpartition("/")[2].rpartition("-")[0]

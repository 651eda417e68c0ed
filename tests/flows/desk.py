"""A small real pipeline for tests: the generated log, every real stage, no Prefect."""

import gzip
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from deskloop.pipeline.load import load_pipeline
from deskloop.run.session import Run, open_run, run_step
from deskloop.store.catalog import Version
from deskloop.store.zones import allow_raw
from tasks import stages

LOG = Path(__file__).parents[2] / "examples" / "support" / "log"
MEASURED = 40  # rows for the measurement of scrub's recall; fewer than by default, for speed
STEPS: list[Any] = [
    {
        "ingest": {
            "sources": [
                {
                    "path": "log/*.jsonl",
                    "customer": {"id": "customer.id", "email": "customer.email", "phone": "customer.phone"},
                    "known": {"PERSON": ["customer.name"], "EMAIL_ADDRESS": ["customer.email"]},
                    "opt_out": "no_training",
                }
            ]
        }
    },
    "scrub",
    {"normalize": {"min_turns": 2}},
    {"dedupe": {"validation": 0.15, "test": 0.15}},
    "split",
    {"encode": {"vocabulary": 600, "max_length": 256}},
]
MODELS = ("base", "finetune", "evaluate", "promote")


def example_lines(count: int, start: int = 0) -> list[bytes]:
    """Return lines of the example log, unchanged."""
    lines = [line for path in sorted(LOG.glob("*.gz")) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return lines[start : start + count]


class Desk:
    """A pipeline in a folder, for repeated runs."""

    def __init__(self, folder: Path, lines: Sequence[bytes] | None, workers: int = 1) -> None:
        """Write the log to a new folder; with `lines` None, use a folder that already has one."""
        self.folder, self.workers = folder, workers
        self.steps = json.loads(json.dumps(STEPS))
        self.extra: dict[str, Any] = {}
        if lines is not None:
            (folder / "log").mkdir(parents=True)
            self.write(lines)

    def copied_to(self, folder: Path) -> "Desk":
        """Copy pipeline, log and store to another folder, where published versions are reused."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        copy = Desk(folder, None, self.workers)
        copy.steps, copy.extra = json.loads(json.dumps(self.steps)), json.loads(json.dumps(self.extra))
        return copy

    @property
    def file(self) -> Path:
        return self.folder / "pipeline.yaml"

    def write(self, lines: Sequence[bytes], name: str = "day-1.jsonl") -> None:
        (self.folder / "log" / name).write_bytes(b"\n".join(lines) + b"\n")

    def save(self) -> None:
        settings = {"name": "desk", "store": "store", "seed": 3, "workers": self.workers, "partition_rows": 64}
        settings["measured_rows"] = MEASURED
        models = [{name: self.extra.get(name)} for name in MODELS] if self.extra else []
        self.file.write_text(json.dumps({**settings, "steps": [*self.steps, *models]}))

    def prepare(self, *overrides: str, rebuild: bool = False, refit: Sequence[str] = ()) -> Run:
        """Run all data steps; the returned run is closed, and its entries record the decisions and versions."""
        self.save()
        pipeline = load_pipeline(self.file, stages(), overrides)
        with open_run(pipeline, lambda line: None, refit, rebuild) as run:
            for step in pipeline.data_steps:
                run_step(run, step)
        return run


def actions(run: Run) -> dict[str, str]:
    return {name: entry.decision.action for name, entry in run.entries.items()}


def versions(run: Run) -> dict[str, Version]:
    return {version.dataset: version for entry in run.entries.values() for version in entry.versions}


def digests(run: Run) -> dict[str, str]:
    return {name: version.digest for name, version in versions(run).items()}


def table(run: Run, dataset: str) -> pa.Table:
    version = versions(run)[dataset]
    with allow_raw("test"):
        return run.store.read(version.zone, dataset, version.delta_version).sort_by("row_id")


if __name__ == "__main__":
    import sys

    folder = Path(sys.argv[1])
    loaded = load_pipeline(folder / "pipeline.yaml", stages())
    with open_run(loaded, print) as opened:
        for step in loaded.steps:
            run_step(opened, step)

"""Compare extending yesterday's versions by 10% new conversations with recomputing everything.

    python -m benchmarks.incremental [--rounds 3]

Each round runs both from the same store and compares their digests. The last line contains the median times in seconds
of the data steps up to `encode`, and their ratio. Keys: `identical`, `extend_s`, `full_s`, `ratio`, `touched`.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.pipeline import Pipeline
from deskloop.run.session import Run, open_run, run_step
from tasks import stages

ROOT = Path(__file__).parents[1]
STEPS = [
    {"ingest": {"sources": [{"path": "log/*.gz", "known": {"PERSON": ["customer.name"]}, "opt_out": "no_training"}]}},
    "scrub",
    "normalize",
    "dedupe",
    "split",
    "encode",
]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="number of measured pairs")
    rounds = parser.parse_args().rounds
    extend, full, identical, touched = [], [], True, 0
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = _two_nights(Path(scratch))
        for _ in range(rounds):
            shutil.rmtree(pipeline.store)
            shutil.copytree(pipeline.folder / "yesterday", pipeline.store)
            seconds, extended = _timed(pipeline, rebuild=False)
            extend.append(seconds)
            seconds, rebuilt = _timed(pipeline, rebuild=True)
            full.append(seconds)
            identical &= _digests(extended) == _digests(rebuilt)
            touched = extended.entries["scrub"].versions[0].touched
            print(f"extend {extend[-1]:.1f} s   full {full[-1]:.1f} s", file=sys.stderr)
    medians = statistics.median(extend), statistics.median(full)
    result = {"identical": identical, "extend_s": round(medians[0], 2), "full_s": round(medians[1], 2)}
    print(json.dumps({**result, "ratio": round(medians[1] / medians[0], 2), "touched": touched}))


def _two_nights(folder: Path) -> Pipeline:
    """Create yesterday's store in `yesterday`, and add today's log to yesterday's."""
    generate = [sys.executable, str(ROOT / "examples" / "support" / "generate.py")]
    shutil.copytree(ROOT / "examples" / "support" / "log", folder / "log")
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"name": "bench", "store": "store", "steps": STEPS}))
    pipeline = load_pipeline(file, stages())
    _timed(pipeline, rebuild=False)
    shutil.copytree(pipeline.store, folder / "yesterday")
    subprocess.run([*generate, "--night", "1", "--out", str(folder / "log")], check=True, stdout=subprocess.DEVNULL)
    return pipeline


def _timed(pipeline: Pipeline, rebuild: bool) -> tuple[float, Run]:
    with open_run(pipeline, lambda line: None, rebuild=rebuild) as run:
        began = time.monotonic()
        for step in pipeline.data_steps:
            run_step(run, step)
        return time.monotonic() - began, run


def _digests(run: Run) -> dict[str, str]:
    return {version.dataset: version.digest for entry in run.entries.values() for version in entry.versions}


if __name__ == "__main__":
    main()

"""Measure the error rates of the gates: with equally good models, with models that are 5% worse, and by simulation.

    python -m benchmarks.gates [--seeds 4] [--folder DIR]

Tiny models are trained on the example log with different seeds, and one with fewer steps. At least thirty pairs of
equal models are compared on parts of the test split (20 to 400 conversations), and models that are 5% worse than their
champion on 200 and 400. Training takes about two CPU minutes per model; `--folder` caches the prepared log and scores.

The last line contains `bits_per_byte` of the models and their spread (`seed_sd`, relative); the number of `pairs`,
those `called_better`, those that differ `beyond_chance` (an interval without zero, the criterion of a gate without a
margin), and the share that passed "not worse" by size; how many of the `worse` trials passed "not worse"; and the
simulated `coverage` of the 95% intervals for a few families, next to that of a percentile interval.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from deskloop.pipeline.load import load_pipeline
from deskloop.run.session import open_run, run_step
from deskloop.store.ledger import Ledger
from tasks import stages
from tasks.base import prepare_base
from tasks.evaluate.bootstrap import compared, family_sums, interval, resampling
from tasks.evaluate.likelihood import score
from tasks.finetune import FinetuneConfig, finetune
from tasks.promote import PromoteConfig, judge

ROOT = Path(__file__).parents[1]
STEPS = ("train_encoded", "validation_encoded", "test_encoded")
SIZES = (20, 50, 100, 200, 400)  # test conversations
WORSE, TRIALS = 1.05, 40
RESAMPLES, CONFIDENCE = 2000, 0.95

Scores = Mapping[str, pd.DataFrame]


def main() -> None:
    """Train, compare, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="number of models that differ only in their seed")
    parser.add_argument("--folder", type=Path, help="cache the prepared log and the scores here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).absolute()
        scores, families = _scores(folder, arguments.seeds)
    equal = {name: rows for name, rows in scores.items() if name != "weaker"}
    bits = {name: float(rows["nll"].sum() / np.log(2) / rows["bytes"].sum()) for name, rows in scores.items()}
    figures = np.array([bits[name] for name in equal])
    result = {
        "bits_per_byte": {name: round(value, 4) for name, value in bits.items()},
        "seed_sd": round(float(figures.std(ddof=1) / figures.mean()), 4),
        **_equal(equal, families),
        "worse": _worse(scores, families),
        "coverage": _coverage(),
    }
    print(json.dumps(result))


def _scores(folder: Path, seeds: int) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Return each model's scores on the test split (rows with `conversation_id`, `nll`, `bytes`), and the families."""
    train, validation, test, files = _prepared(folder)
    wanted = {f"seed-{seed}": (seed, 3.0) for seed in range(1, seeds + 1)} | {"weaker": (1, 2.8)}
    scores = {}
    for name, (seed, epochs) in wanted.items():
        cached = folder / "scores" / f"{name}.parquet"
        if not cached.exists():
            print(f"training {name}", file=sys.stderr)
            cached.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory() as work:
                base, model = Path(work, "base"), Path(work, "model")
                prepare_base("tiny", files, base, seed)
                config = FinetuneConfig(epochs=epochs)
                finetune(train, validation, files, str(base), config, seed, model, Path(work, "work"))
                score(model, test)[1].to_parquet(cached)
        scores[name] = pd.read_parquet(cached)
    return scores, dict(zip(test["conversation_id"].to_pylist(), test["family"].to_pylist(), strict=True))


def _prepared(folder: Path) -> tuple[pa.Table, pa.Table, pa.Table, dict[str, bytes]]:
    """Return the encoded splits of the example log, with a quarter of it for the test, and the tokenizer."""
    overrides = [f"store={folder / 'store'}", "dedupe.test=0.25"]
    pipeline = load_pipeline(ROOT / "examples" / "support" / "pipeline.yaml", stages(), overrides)
    with open_run(pipeline, lambda line: print(line, file=sys.stderr)) as run:
        for step in pipeline.data_steps:
            run_step(run, step)
        versions = run.entries["encode"].versions
        train, validation, test = map(run.engine.table, versions)
        return train, validation, test, Ledger(run.store.root / "ledger").files(versions[0].artifact)


def _equal(equal: Scores, families: Mapping[str, str]) -> dict[str, Any]:
    """Compare models that differ only in their seed, at every size, in both directions."""
    counts = {"pairs": 0, "called_better": 0, "beyond_chance": 0}
    passed: dict[int, list[bool]] = {size: [] for size in SIZES}
    for place, (first, second) in enumerate(combinations(equal, 2)):
        for size in SIZES:
            part = _part(families, size, seed=place * 1000 + size)
            ways = [_compared(equal[a], equal[b], part) for a, b in ((first, second), (second, first))]
            counts["pairs"] += 1
            counts["called_better"] += any(_passes(*way, champion="better") for way in ways)
            counts["beyond_chance"] += any((way[0]["high"] or 0) < 0 for way in ways)
            passed[size] += [_passes(*way, champion="not_worse") for way in ways]
    return {**counts, "not_worse_passed": {size: round(float(np.mean(hits)), 2) for size, hits in passed.items()}}


def _worse(scores: Scores, families: Mapping[str, str]) -> dict[str, int]:
    """Compare models 5% worse than their champion: trained less, or with losses scaled by 5% with a noise of 20%."""
    champion, weaker = scores["seed-1"], scores["weaker"].set_index("row_id").loc[scores["seed-1"]["row_id"]]
    gap = weaker["nll"].to_numpy() - champion["nll"].to_numpy()
    share = (WORSE - 1) * champion["nll"].sum() / gap.sum()  # interpolates towards the weaker model, or extrapolates
    trained = champion.assign(nll=champion["nll"] + share * gap)
    result = {"trials": 0, "passed": 0}
    for size in (200, 400):
        for trial in range(TRIALS):
            part = _part(families, size, seed=size * 1000 + trial)
            noise = np.random.default_rng([size, trial]).normal(WORSE, 0.2, len(champion))
            scaled = champion["nll"] * noise
            scaled *= WORSE * champion["nll"].sum() / scaled.sum()
            for candidate in (trained, champion.assign(nll=scaled)):
                result["trials"] += 1
                result["passed"] += _passes(*_compared(candidate, champion, part), champion="not_worse")
    return result


def _part(families: Mapping[str, str], conversations: int, seed: int) -> dict[str, str]:
    """Return entire families with about the given number of conversations."""
    names = np.random.default_rng(seed).permutation(sorted(set(families.values())))
    members: dict[str, list[str]] = {}
    for conversation, family in families.items():
        members.setdefault(family, []).append(conversation)
    chosen: dict[str, str] = {}
    for family in names:
        if len(chosen) >= conversations:
            break
        chosen |= dict.fromkeys(members[family], str(family))
    return chosen


def _compared(candidate: pd.DataFrame, champion: pd.DataFrame, part: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Return the comparison as a run records it, and the champion's bits per byte."""
    rows = {name: scores[scores["conversation_id"].isin(part)] for name, scores in
            (("candidate", candidate), ("champion", champion))}  # fmt: skip
    sums, names = family_sums(rows, part)
    draws = resampling(len(names), RESAMPLES, CONFIDENCE, seed=0)
    bits, size = sums["champion"]
    return compared(sums, "candidate", "champion", draws, len(part)), float(bits.sum() / size.sum())


def _passes(comparison: dict[str, Any], bits: float, champion: str) -> bool:
    """Check whether the candidate passes the gate against the champion."""
    config = PromoteConfig(better_than=(), champion=cast(Any, champion))
    figures = {"metrics": {"champion": {"bits_per_byte": bits}}, "comparisons": [comparison]}
    return bool(judge({"evaluate": figures}, config)[0]["passed"])


def _coverage(splits: int = 400) -> dict[str, dict[str, float]]:
    """Simulate how often 95% intervals contain the true value, with skewed sizes and differences of families."""
    rng = np.random.default_rng(0)
    size = np.round(rng.lognormal(5.3, 0.8, 200_000)) + 20
    amounts = size * (rng.exponential(0.06, len(size)) - 0.06)
    true = amounts.sum() / size.sum()
    result = {}
    for families in (10, 20, 50, 200):
        hits = np.zeros(2)
        for split in range(splits):
            drawn = rng.integers(0, len(size), families)
            draws = resampling(families, 500, CONFIDENCE, split)
            bounds = interval(amounts[drawn], size[drawn], draws)
            ratios = draws.counts @ amounts[drawn] / (draws.counts @ size[drawn])
            low, high = np.quantile(ratios, [0.025, 0.975])
            hits += [cast(float, bounds["low"]) <= true <= cast(float, bounds["high"]), low <= true <= high]
        ours, percentile = (hits / splits).round(3)
        result[str(families)] = {"interval": float(ours), "percentile": float(percentile)}
    return result


if __name__ == "__main__":
    main()

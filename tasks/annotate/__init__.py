"""Give every conversation an intent: the log's own label, else the first declared rule that matches, else a model's.

The model (`classifier`) learns from training families only, says how sure it is (`calibration`), and leaves a
conversation without an intent where it is not sure enough. So `annotate` comes after `dedupe`, which assigns the
splits; before it, as for splits stratified by rules, it runs with `classifier: false`.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import Field

from deskloop.contract.errors import DataError
from deskloop.contract.stage import Context, FittedStage, StageConfig
from tasks.annotate.classifier import METRICS, classify, learn
from tasks.annotate.rules import Rule, first_match

TRUSTED = ("log", "rule", "human")  # sources of labels that the classifier learns from
MOST_ROWS = 20_000  # labelled conversations that the classifier learns from; more cost time and teach it little


class AnnotateConfig(StageConfig):
    """Where intents come from."""

    labels: dict[str, str | None] = Field(
        default_factory=dict, description="the log's label -> ours (several may become one); null: as if it had none"
    )
    rules: tuple[Rule, ...] = Field(
        (), description="the first that matches gives a conversation without a label its intent"
    )
    rules_override: bool = Field(False, description="rules come before the log's labels; people's labels stay")
    classifier: bool = Field(True, description="let a model label the rest; needs the splits that dedupe assigns")
    min_precision: float = Field(
        0.9, ge=0.5, le=1, description="share of the model's labels that are right, as estimated in cross-validation"
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="probability below which the model gives no label, in place of min_precision"
    )


def fit(rows: pd.DataFrame, config: AnnotateConfig, context: Context) -> Mapping[str, bytes]:
    """Train the classifier on training conversations that have a label from the log, a rule or a person.

    Args:
        rows: (n, schema), in any order; not modified.
    Returns:
        The classifier's files, and `metrics.json` alone where there is none: see `metrics`.
    Raises:
        DataError: no row has a split yet.
    """
    named = _named(rows, config, context)
    seen = set(rows["intent"][rows["intent_source"].fillna("log") == "log"].dropna())
    told = {"unused_labels": sorted(set(config.labels) - seen)}
    if not config.classifier:
        return {METRICS: json.dumps({"reason": "switched off", **told}, sort_keys=True).encode()}
    if len(rows) and rows["split"].isna().all():
        raise DataError(
            f"step {context.step!r}: its classifier needs to know which conversations are for training, but none of "
            f"{len(rows):,} has a split: put annotate after dedupe, or set classifier: false"
        )
    own = rows["origin"].isin(["log", "feedback"]) & (rows["split"] == "train")
    known = own & named["intent"].notna() & named["intent_source"].isin(TRUSTED)
    lessons = rows[known].assign(intent=named["intent"][known]).sort_values("row_id")
    if len(lessons) > MOST_ROWS:
        keys = [int(context.rng(row_id).integers(2**62)) for row_id in lessons["row_id"]]
        lessons = lessons.assign(key=keys).nsmallest(MOST_ROWS, "key").sort_values("row_id")
    families = lessons["family"].fillna(lessons["conversation_id"])
    files = learn(lessons["turns"], lessons["intent"], families, config.min_precision, config.min_confidence)
    return {**files, METRICS: json.dumps({**metrics(files), **told}, sort_keys=True).encode()}


def annotate(rows: pd.DataFrame, config: AnnotateConfig, context: Context) -> pd.DataFrame:
    """Set `intent`, `intent_source` (log, rule, model; human stays) and `intent_confidence` (0 to 1).

    Args:
        rows: (n, schema); not modified. `context.artifact` holds what `fit` learned.
    Returns:
        The n rows; all three are null where nothing is known or sure enough.
    Raises:
        DataError: a rule's regular expression takes too long.
    """
    named = _named(rows, config, context)
    missing = named["intent"].isna()
    if config.classifier and missing.any():
        intents, confidence = classify(rows["turns"][missing], context.artifact)
        sources = ["model" if intent is not None else None for intent in intents]
        named.loc[missing, "intent"] = intents
        named.loc[missing, "intent_source"] = sources
        named.loc[missing, "intent_confidence"] = confidence
    return rows.assign(
        intent=named["intent"].astype("str"),
        intent_source=named["intent_source"].astype("str"),
        intent_confidence=named["intent_confidence"].astype("float32"),
    )


def metrics(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What is known about the classifier of an artifact, for the report.

    Returns:
        `reason` why it labels nothing, or null; `labelled` training conversations; `intents` that it knows of
        `intents_seen`; `threshold`, the least confidence for a label; and from out-of-fold predictions, in which
        intents that it does not know count as errors: `accuracy`, `macro_f1` (over those that it knows), `coverage`
        (share at or above the threshold), `precision` (share of those that are right), `ece` and `ece_before`
        (expected calibration error, after and before `temperature`). `unused_labels`: keys of the option `labels` that
        the log does not have.
    """
    result: dict[str, Any] = json.loads(files[METRICS])
    return result


def _named(rows: pd.DataFrame, config: AnnotateConfig, context: Context) -> pd.DataFrame:
    """(n, intent, intent_source, intent_confidence) as objects, from what the rows bring and from the rules."""
    result = []
    cells = zip(
        rows["row_id"], rows["turns"], rows["intent"], rows["intent_source"], rows["intent_confidence"], strict=True
    )
    for row_id, turns, intent, source, confidence in cells:
        intent = intent if isinstance(intent, str) and intent.strip() else None
        source = source if isinstance(source, str) else "log"
        if intent is not None and source == "log":
            intent, confidence = config.labels.get(intent, intent), 1.0
        if intent is None or (config.rules_override and source != "human"):
            ruled = first_match(config.rules, turns, context.step, row_id)
            intent, source, confidence = (ruled, "rule", 1.0) if ruled is not None else (intent, source, confidence)
        result.append((intent, source, confidence) if intent is not None else (None, None, None))
    columns = ["intent", "intent_source", "intent_confidence"]
    return pd.DataFrame(result, columns=columns, index=rows.index, dtype=object)


STAGE = FittedStage(
    name="annotate",
    dataset="annotated",
    summary="Gives conversations their intent: from the log, from rules, or from a confident classifier.",
    suite="expectations.annotated",
    report="tasks.annotate.report",
    config=AnnotateConfig,
    run=annotate,
    fit=fit,
    needs=frozenset({"scrubbed"}),
    provides=frozenset({"intent", "annotated"}),
    libraries=("regex", "scikit-learn"),
)

"""Label every conversation with an intent: from the log, else from the first matching rule, else from a classifier.

The classifier is trained on training families only, its confidence is calibrated, and it gives no label below a
threshold. `annotate` therefore runs after `dedupe`, which assigns the splits. Before `dedupe`, for splits stratified by
rules, it needs `classifier: false`.
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

TRUSTED = ("log", "rule", "human")  # sources of labels for training the classifier
MOST_ROWS = 20_000  # labelled conversations for training the classifier; more cost time and improve it little


class AnnotateConfig(StageConfig):
    """Sources of intents."""

    labels: dict[str, str | None] = Field(
        default_factory=dict, description="the log's label -> intent (several labels may share one); null: no label"
    )
    rules: tuple[Rule, ...] = Field((), description="the first matching rule labels a conversation without a label")
    rules_override: bool = Field(
        False, description="rules take precedence over the log's labels, but not over people's"
    )
    classifier: bool = Field(True, description="let a model label the rest; needs the splits that dedupe assigns")
    min_precision: float = Field(
        0.9, ge=0.5, le=1, description="share of correct labels among the model's, estimated in cross-validation"
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="probability below which the model gives no label; overrides min_precision"
    )


def fit(rows: pd.DataFrame, config: AnnotateConfig, context: Context) -> Mapping[str, bytes]:
    """Train the classifier on training conversations with a label from the log, a rule or a person.

    Args:
        rows: (n, schema), in any order; not modified.
    Returns:
        The classifier's files, or only `metrics.json` if there is no classifier; see `metrics`.
    Raises:
        DataError: no row has a split.
    """
    labelled = _labelled(rows, config, context)
    seen = set(rows["intent"][rows["intent_source"].fillna("log") == "log"].dropna())
    unused = {"unused_labels": sorted(set(config.labels) - seen)}
    if not config.classifier:
        return {METRICS: json.dumps({"reason": "switched off", **unused}, sort_keys=True).encode()}
    if len(rows) and rows["split"].isna().all():
        raise DataError(
            f"step {context.step!r}: its classifier trains on the training split, but none of {len(rows):,} "
            "conversations has a split: move annotate after dedupe, or set classifier: false"
        )
    logged = rows["origin"].isin(["log", "feedback"]) & (rows["split"] == "train")
    usable = logged & labelled["intent"].notna() & labelled["intent_source"].isin(TRUSTED)
    examples = rows[usable].assign(intent=labelled["intent"][usable]).sort_values("row_id")
    if len(examples) > MOST_ROWS:
        keys = [int(context.rng(row_id).integers(2**62)) for row_id in examples["row_id"]]
        examples = examples.assign(key=keys).nsmallest(MOST_ROWS, "key").sort_values("row_id")
    families = examples["family"].fillna(examples["conversation_id"])
    files = learn(examples["turns"], examples["intent"], families, config.min_precision, config.min_confidence)
    return {**files, METRICS: json.dumps({**metrics(files), **unused}, sort_keys=True).encode()}


def annotate(rows: pd.DataFrame, config: AnnotateConfig, context: Context) -> pd.DataFrame:
    """Set `intent`, `intent_source` (log, rule, model; human stays) and `intent_confidence` (0 to 1).

    Args:
        rows: (n, schema); not modified. `context.artifact` holds `fit`'s result.
    Returns:
        The n rows; all three columns are null if there is no label with enough confidence.
    Raises:
        DataError: a rule's regular expression takes too long.
    """
    labelled = _labelled(rows, config, context)
    missing = labelled["intent"].isna()
    if config.classifier and missing.any():
        intents, confidence = classify(rows["turns"][missing], context.artifact)
        sources = ["model" if intent is not None else None for intent in intents]
        labelled.loc[missing, "intent"] = intents
        labelled.loc[missing, "intent_source"] = sources
        labelled.loc[missing, "intent_confidence"] = confidence
    return rows.assign(
        intent=labelled["intent"].astype("str"),
        intent_source=labelled["intent_source"].astype("str"),
        intent_confidence=labelled["intent_confidence"].astype("float32"),
    )


def metrics(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the metrics of an artifact's classifier, for the report.

    Returns:
        `reason` why it labels nothing, or null; `labelled` training conversations; `intents` that it can predict, of
        `intents_seen`; `threshold`, the lowest confidence for a label; and from out-of-fold predictions, in which
        intents that it cannot predict count as errors: `accuracy`, `macro_f1` (over the intents that it can predict),
        `coverage` (share at or above the threshold), `precision` (share of those that are correct), `ece` and
        `ece_before` (expected calibration error, after and before applying `temperature`). `unused_labels`: keys of the
        option `labels` that do not occur in the log.
    """
    result: dict[str, Any] = json.loads(files[METRICS])
    return result


def _labelled(rows: pd.DataFrame, config: AnnotateConfig, context: Context) -> pd.DataFrame:
    """Return (n, intent, intent_source, intent_confidence) as objects, from existing labels and rules."""
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
            match = first_match(config.rules, turns, context.step, row_id)
            intent, source, confidence = (match, "rule", 1.0) if match is not None else (intent, source, confidence)
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

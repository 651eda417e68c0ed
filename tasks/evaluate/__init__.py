"""Evaluate candidates on the test split: likelihood, n-gram baselines on the same tokens, and sample replies."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deskloop.contract.errors import DataError
from deskloop.contract.schema import ENCODED, to_frame, to_table
from deskloop.contract.stage import Context, EvaluationStage, Input, Inputs, Port
from tasks.encode import EncodeConfig, encode
from tasks.encode import tokenizer as tokenizer_module
from tasks.evaluate.compare import evaluate
from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.generation import replies
from tasks.evaluate.likelihood import metrics, score
from tasks.evaluate.ngrams import baselines

__all__ = ["STAGE", "EvaluateConfig", "baselines", "evaluate", "metrics", "replies", "score"]


def figures(inputs: Inputs, config: EvaluateConfig, context: Context) -> dict[str, Any]:
    """Evaluate the versions behind the stage's ports; see `evaluate`.

    Raises:
        DataError: a candidate or the champion was trained on families of the test split (P3).
    """
    (base,), (train,), (test,) = inputs["base"], inputs["train"], inputs["test"]
    candidates = {candidate.step: candidate for candidate in inputs["candidates"]}
    models: dict[str, Input] = {"base": base, **candidates}
    for champion in inputs.get("champion", ()):
        models["champion"] = champion
    for model in (*candidates.values(), *inputs.get("champion", ())):
        _check_unseen(model, test)
    tests = {name: rows for name, model in models.items() if (rows := _in_tokens_of(model, test)) is not None}
    folders = {name: model.folder() for name, model in models.items()}
    result = evaluate(folders, list(candidates), train.table(), test.table(), config, context.seed, tests)
    return {"candidates": {step: candidate.name for step, candidate in candidates.items()}, **result}


def _check_unseen(model: Input, test: Input) -> None:
    """Check that a model was not trained on any family that it is evaluated on (P3)."""
    trained = [parent for parent in model.parents() if parent.is_table]
    seen = {family for parent in trained for family in parent.table(["family"])["family"].to_pylist()}
    shared = seen & set(test.table(["family"])["family"].to_pylist())
    if shared:
        raise DataError(
            f"{model.name} was trained on {len(shared):,} families of the test split {test.name}, so it cannot be "
            "evaluated on it. Check the `inputs` of the training step; if the ledger was removed since the champion "
            "was trained, promote a model that was trained with this ledger"
        )


def _in_tokens_of(model: Input, test: Input) -> pa.Table | None:
    """Encode the test split with a model's tokenizer; None if the split already uses it."""
    files, folder = test.artifact(), model.folder()
    tokenizer = {name: (folder / name).read_bytes() for name in files if (folder / name).is_file()}
    if tokenizer_module.digest(tokenizer) == tokenizer_module.digest(files):
        return None
    config = EncodeConfig.model_validate(test.config)
    rows = pa.concat_tables([parent.table() for parent in test.parents() if parent.is_table])
    splits = test.table(["split"])["split"].unique()
    tested = to_frame(rows.filter(pc.is_in(rows["split"], splits)).sort_by("row_id"))
    encoded = encode(tested, config, Context(step=test.step, artifact=tokenizer))
    return to_table(encoded[encoded["reject"].isna()], ENCODED).sort_by("row_id")


STAGE = EvaluationStage(
    name="evaluate",
    dataset="evaluation",
    summary="Compares base, candidates and champion on unseen test conversations.",
    config=EvaluateConfig,
    ports={
        "candidates": Port(kind="model", role="candidate", many=True),
        "base": Port(kind="model", role="base"),
        "champion": Port(kind="model", role="champion", optional=True),
        "train": Port(split="train", fact="input_ids"),
        "test": Port(split="test", fact="input_ids"),
    },
    score=figures,
    libraries=("torch", "transformers", "tokenizers"),
)

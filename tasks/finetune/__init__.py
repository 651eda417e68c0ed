"""Fine-tune a base model on the encoded conversations, with Hugging Face's Trainer.

Training is resumed from its last checkpoint, and then ends with the weights of an undisturbed run (P6, P10).
"""

from pathlib import Path
from typing import Any

from deskloop.contract.stage import Context, Inputs, ModelStage, Port
from tasks.finetune.config import FinetuneConfig
from tasks.finetune.train import finetune

__all__ = ["STAGE", "FinetuneConfig", "finetune"]


def make(inputs: Inputs, config: FinetuneConfig, context: Context, out: Path, work: Path) -> dict[str, Any]:
    """Train a candidate on the versions behind the stage's ports; see `finetune`."""
    (base,), (train,), (validation,) = inputs["base"], inputs["train"], inputs["validation"]

    def report(figures: dict[str, Any]) -> None:
        loss = f", loss {figures['loss']:.3f}" if figures.get("loss") is not None else ""
        context.progress(figures["step"], figures["steps"], f"optimizer steps{loss}")

    result = finetune(
        train.table(),
        validation.table(),
        train.artifact(),
        str(base.folder()),
        config,
        context.seed,
        out,
        work,
        report,
        str(base.config["base"]),
    )
    report(result["history"][-1] | {"steps": result["steps"]})  # early stopping leaves some out
    return result


STAGE = ModelStage(
    name="finetune",
    dataset="",
    summary="Fine-tunes the base model on the training conversations.",
    config=FinetuneConfig,
    role="candidate",
    ports={
        "base": Port(kind="model", role="base"),
        "train": Port(split="train", fact="input_ids"),
        "validation": Port(split="validation", fact="input_ids"),
    },
    make=make,
    libraries=("torch", "transformers", "tokenizers", "accelerate"),
)

"""Config of `finetune`."""

from typing import Literal

from pydantic import Field

from deskloop.contract.stage import StageConfig

TINY_LEARNING_RATE, TINY_BATCH = 3e-3, 1024
LEARNING_RATE, BATCH = 5e-5, 8192


class FinetuneConfig(StageConfig):
    """Config of `finetune`."""

    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="peak; default 3e-3 for `tiny`, which starts untrained, otherwise 5e-5",
    )
    scheduler: Literal["linear", "cosine", "polynomial", "constant"] = Field(
        "cosine", description="decay of the learning rate to 0 after the warm-up; polynomial: quadratic"
    )
    warmup_share: float = Field(0.05, ge=0, le=0.5, description="share of the steps until the peak learning rate")
    weight_decay: float = Field(0.01, ge=0, le=1)
    epochs: float = Field(3.0, gt=0, le=1000, description="passes over the training split; unused with max_steps")
    max_steps: int | None = Field(None, ge=1, description="optimizer steps; replaces epochs")
    batch_tokens: int | None = Field(
        None,
        ge=16,
        description="tokens of a batch, padding included; windows of like length share one; default 1024 for `tiny`, "
        "otherwise 8192",
    )
    gradient_accumulation: int = Field(1, ge=1, le=4096, description="batches of one optimizer step")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="compute dtype; auto: bf16 or fp16 on a GPU, fp32 on a CPU; weights stay in fp32"
    )
    max_grad_norm: float = Field(1.0, ge=0, description="gradients are clipped to this norm; 0: never")
    dropout: float | None = Field(None, ge=0, lt=1, description="replaces the base's own")
    early_stopping: int | None = Field(
        None, ge=1, description="stop after this many evaluations without a better validation loss, and keep the best"
    )
    evaluate_every: float = Field(0.1, gt=0, description="optimizer steps; below 1: a share of all")
    validation_tokens: int = Field(
        20_000, ge=1, description="approximate tokens of the validation split that evaluations during training use"
    )
    checkpoint_every: float = Field(
        0.25, gt=0, description="optimizer steps; below 1: a share of all; with early_stopping: as evaluate_every"
    )
    packing: bool = Field(False, description="put several windows into each row; faster on a GPU, with equal results")

    def with_defaults(self, base: str) -> "FinetuneConfig":
        """Return the config with the defaults that depend on the base.

        Args:
            base: `tiny`, a model id or a folder.
        """
        tiny = base == "tiny"
        defaults = {
            "learning_rate": TINY_LEARNING_RATE if tiny else LEARNING_RATE,
            "batch_tokens": TINY_BATCH if tiny else BATCH,
        }
        return self.model_copy(update={name: value for name, value in defaults.items() if getattr(self, name) is None})

"""Hugging Face's Trainer, fed with planned batches and silent; imported only when training starts."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from deskloop.contract.errors import ConfigError, DataError
from tasks.encode.windows import IGNORED
from tasks.evaluate.batches import Batch, collate
from tasks.evaluate.likelihood import likelihood, supervised, supervised_only
from tasks.finetune.config import FinetuneConfig

CURVE = 100  # points of the training curve, about
SCHEDULERS: dict[str, tuple[str, dict[str, float]]] = {
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "polynomial": ("polynomial", {"power": 2.0, "lr_end": 0.0}),
    "constant": ("constant_with_warmup", {}),
}


class PlannedTrainer(Trainer):
    """A Trainer whose dataset is the list of batches, and whose validation loss is the mean over tokens."""

    control: Any

    def __init__(self, validation: pa.Table, epoch_batches: int, **arguments: Any) -> None:
        """Create a Trainer.

        Args:
            validation: (n, ENCODED), may be empty.
            epoch_batches: batches of the first epoch.
            arguments: the Trainer's own.
        """
        self.validation, self.epoch_batches = validation, epoch_batches
        super().__init__(**arguments)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The usual loss, with logits only for supervised tokens."""
        if self.compute_loss_func is None:
            return super().compute_loss(model, inputs, *args, **kwargs)
        labels, weights = inputs.pop("labels"), inputs.pop("weights", None)
        with supervised_only(self.model, labels):  # the Trainer hands the pair to `weighted_loss` as it is
            return super().compute_loss(model, {**inputs, "labels": (labels, weights)}, *args, **kwargs)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """Return the batches of one step, and the divisor of its loss: its supervised tokens, weighted."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if batches and "weights" in batches[0]:
            items = sum(batch["weights"][:, 1:][batch["labels"][:, 1:] != IGNORED].sum() for batch in batches)
            items = items.to(device)
            if self.args.world_size > 1:
                items = self.accelerator.gather(items).sum()
        return batches, items

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Compute the mean loss over supervised tokens; the Trainer's own is a mean of batch means."""
        scores = likelihood(self.model, self.validation)
        output = {"eval_loss": float(scores["nll"].sum() / scores["tokens"].sum())}
        self.log(output)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, output)
        return output

    def history(self) -> list[dict[str, Any]]:
        """Return the training curve: one entry per logged step; checkpoints preserve it."""
        entries: dict[int, dict[str, Any]] = {}
        for logged in self.state.log_history:
            if "loss" in logged or "eval_loss" in logged:
                entry = entries.setdefault(logged["step"], self.entry(logged["step"]))
                entry["loss"] = logged.get("loss", entry["loss"])
                entry["learning_rate"] = logged.get("learning_rate", entry["learning_rate"])
                entry["validation_loss"] = logged.get("eval_loss", entry["validation_loss"])
        return [entries[step] for step in sorted(entries)]

    def entry(self, step: int) -> dict[str, Any]:
        """Return a history entry without figures."""
        epoch = round(step * self.args.gradient_accumulation_steps / self.epoch_batches, 4)
        return {"step": step, "epoch": epoch, "loss": None, "validation_loss": None, "learning_rate": None}


def weighted_loss(outputs: Any, targets: tuple[Any, Any], num_items_in_batch: Any = None) -> Any:
    """`mean_loss` of a batch's (labels, weights)."""
    return mean_loss(outputs, targets[0], num_items_in_batch, targets[1])


def mean_loss(outputs: Any, labels: Any, num_items_in_batch: Any = None, weights: Any = None) -> Any:
    """Cross-entropy over the supervised tokens of a step, of which this batch may be a part.

    With weights it is sum(w * nll) / sum(w): a window of weight 2 counts as much as the same window twice.

    Args:
        outputs: a model's, computed within `supervised_only`.
        labels: (batch, seq) int64 tensor.
        num_items_in_batch: supervised tokens of the whole step, its batches and processes; or their weights, summed.
        weights: (batch, seq) float32 tensor, or None where every token counts once.
    """
    import torch

    logits, targets = supervised(outputs.logits, labels)
    if weights is None:
        total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        return total / (len(targets) if num_items_in_batch is None else num_items_in_batch)
    counts = weights[:, 1:][labels[:, 1:] != IGNORED]
    total = (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * counts).sum()
    return total / (counts.sum() if num_items_in_batch is None else num_items_in_batch)


class Watch(TrainerCallback):
    """Stops a diverged run, evaluates after the last step, and reports progress."""

    def __init__(self, trainer: PlannedTrainer, on_progress: Callable[[dict[str, Any]], None] | None) -> None:
        self.trainer, self.on_progress = trainer, on_progress

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Log and evaluate after the last step."""
        if state.global_step >= state.max_steps:
            control.should_log = True
            control.should_evaluate = args.eval_strategy != "no"
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Check the figures and report them."""
        logged = {"validation_loss" if name == "eval_loss" else name: value for name, value in (logs or {}).items()}
        figures: dict[str, Any] = {
            name: logged[name] for name in ("loss", "validation_loss", "learning_rate") if name in logged
        }
        if not all(math.isfinite(value) for value in figures.values()):
            raise DataError(
                f"finetune diverged: the loss at step {state.global_step} is not finite; lower learning_rate "
                f"({args.learning_rate:g}), or raise warmup_share"
            )
        if figures and self.on_progress is not None:
            epoch = self.trainer.entry(state.global_step)["epoch"]
            place = {"step": state.global_step, "steps": state.max_steps, "epoch": epoch}
            self.on_progress({**place, **figures})


def make_trainer(
    model: Any,
    batches: list[Batch],
    epoch_batches: int,
    data: Mapping[str, Any],
    validation: pa.Table,
    pad: int,
    config: FinetuneConfig,
    precision: str,
    seed: int,
    work: Path,
    resumed: bool,
    on_progress: Callable[[dict[str, Any]], None] | None,
) -> PlannedTrainer:
    """Create a Trainer that processes the planned batches once.

    Args:
        batches: all batches of all epochs, of which `epoch_batches` are the first epoch.
        data: the training table's `tokens`, `labels` and `weights` (see `tasks.evaluate.batches.columns`).
        pad: id of the padding token.
    Raises:
        ConfigError: weights, in one process with several GPUs.
    """
    arguments = _arguments(len(batches), bool(len(validation)), config, precision, seed, work, resumed)
    weights = data["weights"] if (data["weights"] != 1).any() else None
    if weights is not None and arguments.n_gpu > 1:
        raise ConfigError(
            f"the training rows have weights, which one process with {arguments.n_gpu} GPUs cannot use: start one "
            "process per GPU with torchrun, show it one GPU (CUDA_VISIBLE_DEVICES=0), or set balance's `weights: none`",
            "finetune",
        )

    def collator(items: list[Batch]) -> dict[str, Any]:
        return collate(items[0], data["tokens"], data["labels"], pad, config.packing, weights)

    trainer = PlannedTrainer(
        validation,
        epoch_batches,
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=batches,
        compute_loss_func=weighted_loss if arguments.n_gpu <= 1 else None,  # torch's DataParallel splits the logits
        eval_dataset=batches[:1] if len(validation) else None,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch(trainer, on_progress))
    if config.early_stopping:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=config.early_stopping))
    return trainer


def _arguments(
    batches: int, validated: bool, config: FinetuneConfig, precision: str, seed: int, work: Path, resumed: bool
) -> TrainingArguments:
    import torch

    steps = math.ceil(batches / config.gradient_accumulation)
    logging = max(1, steps // CURVE)
    evaluating = _steps(config.evaluate_every, steps)
    saving = evaluating if config.early_stopping else _steps(config.checkpoint_every, steps)
    if not config.early_stopping:
        saving = math.ceil(saving / logging) * logging  # the curve of a resumed run is continuous
    name, settings = SCHEDULERS[config.scheduler]
    return TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=1,  # of the planned batches
        gradient_accumulation_steps=config.gradient_accumulation,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        learning_rate=config.learning_rate,
        lr_scheduler_type=name,
        lr_scheduler_kwargs=settings,
        warmup_steps=config.warmup_share,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.accelerator.is_available(),
        seed=seed,
        use_cache=False,  # with a cache, transformers lets packed windows see each other
        logging_strategy="steps",
        logging_steps=logging,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if validated else "no",
        eval_on_start=validated and not resumed,
        eval_steps=evaluating,
        save_strategy="steps",
        save_steps=saving,
        save_total_limit=2,
        load_best_model_at_end=bool(config.early_stopping),
        metric_for_best_model="eval_loss" if config.early_stopping else None,
        greater_is_better=False if config.early_stopping else None,
        restore_callback_states_from_checkpoint=bool(config.early_stopping),
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
    )


def _steps(every: float, steps: int) -> int:
    return max(1, math.ceil(every * steps)) if every < 1 else math.ceil(every)

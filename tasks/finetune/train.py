"""One training run: from a base and two tables of windows to a Hugging Face folder."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from deskloop.contract.errors import ConfigError, DataError
from deskloop.contract.quiet import quiet
from tasks.base import load_base, save
from tasks.encode import tokenizer as tokenizer_module
from tasks.evaluate.batches import columns
from tasks.finetune.batch_order import plan
from tasks.finetune.config import BATCH, FinetuneConfig

Progress = Callable[[dict[str, Any]], None]


def finetune(
    train: pa.Table,
    validation: pa.Table,
    tokenizer_files: Mapping[str, bytes],
    base_folder_or_id: str,
    config: FinetuneConfig,
    seed: int,
    out: Path,
    work: Path,
    on_progress: Progress | None = None,
    base: str = "tiny",
) -> dict[str, Any]:
    """Train, and write the model to `out`: weights in safetensors, tokenizer, chat template, generation settings.

    Args:
        train, validation: (n, ENCODED); a training row counts `repeats` times an epoch, and each of its tokens `weight`
            times in the loss. Validation may be empty, and counts every row alike.
        tokenizer_files: as from encode's `fit`.
        base_folder_or_id: a Hugging Face folder or id, such as `prepare_base` writes.
        seed: the same seed and inputs give the same weights on the same CPU stack.
        out: must not exist; appears whole or not at all.
        work: for checkpoints. A run with the same inputs, config and seed continues from the last checkpoint; others
            are removed. The caller removes the folder once the model is published.
        base: `tiny`, a model id or a folder: the origin of the base, which sets defaults.
        on_progress: called with `{"step", "steps", "epoch", "loss"?, "validation_loss"?, "learning_rate"?}`.
    Returns:
        `history` [{step, epoch, loss, validation_loss, learning_rate}], `steps`, `tokens` (trained on, padding not
        counted), `seconds` (of this call), `parameters`, `device`, `precision`, `best_validation_loss`.
    Raises:
        ConfigError: the base is not available, or does not fit the config.
        DataError: nothing to train on, a weight that is not positive, windows longer than the base's context, or a
            loss that is no longer finite.
    """
    import torch

    begun = time.monotonic()
    config = config.with_defaults(base)
    tokenizer = tokenizer_module.load(tokenizer_files, base_folder_or_id)
    train, validation = train.sort_by("row_id"), _sample(validation, config.validation_tokens)
    data = columns(train)
    torch.manual_seed(seed)
    model = load_base(base_folder_or_id, tokenizer, config.dropout)
    _check(model, data, validation, config)
    budget = config.batch_tokens or BATCH
    wanted = None if config.max_steps is None else config.max_steps * config.gradient_accumulation
    batches, epoch = plan(data["lengths"], data["repeats"], config.epochs, wanted, budget, seed, config.packing)
    checkpoint = _resume_from(work, _recipe(train, validation, tokenizer_files, base_folder_or_id, config, seed))
    precision = _precision(config.precision)

    from tasks.finetune.trainer import make_trainer

    resumed, pad = checkpoint is not None, tokenizer.pad_token_id
    with quiet():
        trainer = make_trainer(
            model, batches, epoch, data, validation, pad, config, precision, seed, work, resumed, on_progress
        )
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    model.config.use_cache = True
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".finetune-") as scratch:
        save(model, tokenizer_files, tokenizer, Path(scratch, "model"))
        os.replace(Path(scratch, "model"), out)
    steps = trainer.state.global_step
    trained = batches[: steps * config.gradient_accumulation]
    history = trainer.history()
    losses = [entry["validation_loss"] for entry in history if entry["validation_loss"] is not None]
    return {
        "history": history,
        "steps": steps,
        "tokens": int(sum(data["lengths"][window] for batch in trained for row in batch for window in row)),
        "seconds": round(time.monotonic() - begun, 3),
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "device": trainer.args.device.type,
        "precision": precision,
        "best_validation_loss": min(losses, default=None),
    }


def _sample(validation: pa.Table, most: int) -> pa.Table:
    """Sample windows of about `most` tokens; depends on the rows, not on their order."""
    keys = [hashlib.sha256(row_id.encode()).digest() for row_id in validation.column("row_id").to_pylist()]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    reached = np.cumsum([len(validation["input_ids"][place]) for place in order])
    chosen = order[: int(np.searchsorted(reached, most)) + 1]
    return validation.take(pa.array(chosen, pa.int64()))


def _check(model: Any, data: Mapping[str, Any], validation: pa.Table, config: FinetuneConfig) -> None:
    if not len(data["lengths"]) or not data["repeats"].sum():
        raise DataError("finetune has no training windows: the training split is empty")
    if config.early_stopping and not len(validation):
        raise DataError("finetune has early_stopping set but no validation windows")
    wrong = int((~(np.isfinite(data["weights"]) & (data["weights"] > 0))).sum())
    if wrong:
        raise DataError(
            f"finetune has {wrong:,} of {len(data['weights']):,} training windows whose weight is not a positive "
            f"number: the step that sets `weight` must give one above 0"
        )
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = int(data["lengths"].max())
    if context is not None and longest > context:
        raise DataError(
            f"finetune has windows of {longest} tokens, but the base reads {context}: lower encode's max_length"
        )


def _precision(wanted: str) -> str:
    """Resolve `auto`, and check that the device supports the compute dtype.

    Raises:
        ConfigError: fp16 on a CPU, where gradients cannot be scaled, or bf16 on a GPU without it.
    """
    import torch

    if torch.cuda.is_available():
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        if wanted == "bf16" and not able:
            raise ConfigError("precision bf16 needs a newer GPU than this machine's: use auto or fp16", "finetune")
        return ("bf16" if able else "fp16") if wanted == "auto" else wanted
    if wanted == "fp16":
        raise ConfigError("precision fp16 needs a GPU and this machine has none: use auto, fp32 or bf16", "finetune")
    return "fp32" if wanted == "auto" else wanted


def _recipe(
    train: pa.Table,
    validation: pa.Table,
    tokenizer_files: Mapping[str, bytes],
    base: str,
    config: FinetuneConfig,
    seed: int,
) -> str:
    """A hash of everything that decides the weights: only a checkpoint of the same training may be resumed."""
    digest = hashlib.sha256(f"{config.model_dump_json()}\n{seed}\n{tokenizer_module.digest(tokenizer_files)}".encode())
    for table in (train, validation):
        for name in ("input_ids", "labels", "repeats", "weight"):
            digest.update(json.dumps(table.column(name).to_pylist()).encode())
    folder = Path(base)
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
        with path.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()


def _resume_from(work: Path, recipe: str) -> Path | None:
    """Return the last complete checkpoint in `work`, and remove those of other trainings."""
    mark = work / "recipe"
    if not mark.exists() or mark.read_text() != recipe:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(recipe)
        return None
    whole: list[tuple[int, Path]] = []
    for folder in work.glob("checkpoint-*"):
        try:  # the Trainer writes this file last
            json.loads((folder / "trainer_state.json").read_bytes())
        except (OSError, ValueError):
            shutil.rmtree(folder)
        else:
            whole.append((int(folder.name.partition("-")[2]), folder))
    return max(whole)[1] if whole else None

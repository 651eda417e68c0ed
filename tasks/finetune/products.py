"""What the model part makes and from what, so that a run and a plan decide alike."""

from pathlib import Path
from typing import cast

from deskloop.engine.models import Product
from deskloop.models.folder import weights_digest
from deskloop.pipeline.load import Pipeline
from tasks.finetune.config import FinetuneConfig


def base_of(pipeline: Pipeline) -> str:
    """The base of the finetune section; a relative folder starts at the pipeline file."""
    base = cast(FinetuneConfig, pipeline.sections["finetune"]).base
    local = pipeline.folder / base
    return str(local) if base != "tiny" and local.is_dir() else base


def base_product(pipeline: Pipeline, tokenizer: str) -> tuple[Product, list[str]]:
    """The base, pinned: made once for a tokenizer and, of a folder, for its weights.

    Args:
        tokenizer: hash of encode's artifact.
    Returns:
        The product, and what besides its config decides it.
    """
    base = base_of(pipeline)
    own = weights_digest(Path(base)) if Path(base).is_dir() else ""
    return Product("base", "base", "model", None, FinetuneConfig(base=base)), [tokenizer, own]


def model_product(pipeline: Pipeline) -> Product:
    """The candidate; its parents are the base and the encoded training and validation splits."""
    return Product("finetune", pipeline.settings.name, "model", "tasks.finetune", pipeline.sections["finetune"])

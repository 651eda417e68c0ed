"""Prepare the base model: the model before fine-tuning, with an embedding for every token of the tokenizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from deskloop.contract.errors import ConfigError
from deskloop.contract.hub import check_model, weights_digest
from deskloop.contract.paths import ModelPath, is_folder, written
from deskloop.contract.quiet import quiet
from deskloop.contract.stage import Context, Inputs, ModelStage, Port, StageConfig
from tasks.encode import tokenizer as tokenizer_module
from tasks.encode.tiny import make_tiny

DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "attention_dropout", "hidden_dropout")  # transformers' names


class BaseConfig(StageConfig):
    """Config of `base`."""

    base: Annotated[str, StringConstraints(min_length=1), ModelPath(words=("tiny",))] = Field(
        "tiny", description="`tiny`, a Hugging Face model id, or a folder; as for encode"
    )


def check(config: BaseConfig, context: Context) -> None:
    """Check that the base is available.

    Raises:
        ConfigError: it is neither a folder, nor cached, nor on the hub.
    """
    if config.base != "tiny":
        check_model(config.base, f"step {context.step!r}")


def equipment(config: BaseConfig, context: Context) -> dict[str, str | None]:
    """Identify a local base by the digest of its weights, because the content of the folder may change."""
    if not is_folder(config.base):
        return {}
    return {f"weights of {written(config.base)}": weights_digest(Path(config.base))}


def make(inputs: Inputs, config: BaseConfig, context: Context, out: Path, work: Path) -> dict[str, Any]:
    """Write the base for the tokenizer fitted by `encode`; see `prepare_base`."""
    prepare_base(config.base, inputs["tokenizer"][0].artifact(), out, context.seed)
    return {"base": written(config.base)}


def prepare_base(base: str, tokenizer_files: Mapping[str, bytes], folder: Path, seed: int) -> None:
    """Write the base as a plain Hugging Face folder with an embedding for every token of the tokenizer.

    Args:
        base: `tiny`, a folder, or a model id.
        tokenizer_files: the result of encode's `fit`.
        folder: the folder to write; must not exist.
        seed: for the weights of `tiny`.
    Raises:
        ConfigError: the base is neither a folder nor a model that can be downloaded.
    """
    if base == "tiny":
        make_tiny(tokenizer_files, folder, seed)
        return
    tokenizer = tokenizer_module.load(tokenizer_files, base)
    save(load_base(base, tokenizer), tokenizer_files, tokenizer, folder)


def load_base(base: str, tokenizer: Any, dropout: float | None = None) -> Any:
    """Load a model by folder or id, in float32, with an embedding for every token.

    New embeddings start as the mean of the old ones, so that a new token is at first neither likely nor unlikely
    (https://nlp.stanford.edu/~johnhew/vocab-expansion.html).
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with quiet():
        try:
            settings = AutoConfig.from_pretrained(base)
            if dropout is not None:
                _set_dropout(settings, dropout, base)
            model = AutoModelForCausalLM.from_pretrained(base, config=settings, dtype=torch.float32)
        except (OSError, ValueError) as error:
            problem = f"base {base!r} is neither a folder with a model nor a model that can be downloaded"
            raise ConfigError(f"{problem} ({type(error).__name__})", "finetune") from None
        size = model.get_input_embeddings().weight.shape[0]
        if len(tokenizer) > size:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
            _start_at_mean(model, size)
    return model


def _set_dropout(settings: Any, dropout: float, base: str) -> None:
    names = [name for name in DROPOUTS if hasattr(settings, name)]
    if not names:
        raise ConfigError(f"dropout is set, but base {base!r} does not support it: remove the option", "finetune")
    for name in names:
        setattr(settings, name, dropout)


def _start_at_mean(model: Any, size: int) -> None:
    """Set all embeddings from position `size` on to the mean of those before."""
    import torch

    parts = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for weights in {id(part.weight): part.weight for part in parts if part is not None}.values():
            weights[size:] = weights[:size].mean(0)
        bias = getattr(parts[1], "bias", None)
        if bias is not None:
            bias[size:] = bias[:size].mean()


def save(model: Any, tokenizer_files: Mapping[str, bytes], tokenizer: Any, folder: Path) -> None:
    """Write a model, its tokenizer, and generation settings that stop at the end of an agent's turn."""
    from tasks.encode.rendering import stop_ids

    stops = dict.fromkeys([stop_ids(tokenizer)[0], tokenizer.eos_token_id])
    model.generation_config.eos_token_id = list(stops) if len(stops) > 1 else tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    folder.mkdir(parents=True)
    with quiet():
        model.save_pretrained(folder)
    for name, content in tokenizer_files.items():
        (folder / name).write_bytes(content)


STAGE = ModelStage(
    name="base",
    dataset="base",
    summary="Provides the model that training starts from; made once and kept.",
    config=BaseConfig,
    role="base",
    ports={"tokenizer": Port(kind="artifact", fact="input_ids")},
    check=check,
    equipment=equipment,
    make=make,
    pinned=True,
)

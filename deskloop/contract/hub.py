"""Checks up front that a model is available: in a folder, in the local cache, or on the hub.

Loading it would fail only after minutes of preparation, and without a network after long retries.
"""

import hashlib
import threading
from pathlib import Path

from deskloop.contract.errors import ConfigError
from deskloop.contract.paths import is_folder, written

SECONDS = 5.0  # to wait for the hub


def check_model(model: str, where: str) -> None:
    """Refuse a model that is neither a folder, nor in the local cache, nor on a hub that answers.

    Args:
        model: a folder's absolute path, or a model id such as `distilgpt2`.
        where: names the option in the error.
    Raises:
        ConfigError: says which of the three failed, and what to do.
    """
    if is_folder(model):
        if not Path(model, "config.json").is_file():
            raise ConfigError(f"{written(model)!r} is a folder without a config.json: no Hugging Face model", where)
        return
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ConfigError(f"{model!r}: there is no such folder (relative paths start at the pipeline file)", where)
    problem = _unreachable(model)
    if problem:
        raise ConfigError(
            f"model {model!r} is not available: it is no folder beside the pipeline file, not in the local cache, and "
            f"{problem}. Give a folder, or download it where there is a network: hf download {model}",
            where,
        )


def ask(model: str) -> str | Exception | None:
    """Ask the hub for the commit of a model id; returns the error if it fails, None if the hub reports no commit.

    Runs in a thread, as a name server that does not answer blocks for longer than the client's time-out.
    """
    from huggingface_hub import model_info

    answers: list[str | Exception | None] = []

    def put() -> None:
        try:
            answers.append(model_info(model, timeout=SECONDS).sha)
        except Exception as error:  # every HTTP client has its own exceptions; the caller reports it
            answers.append(error)

    asking = threading.Thread(target=put, daemon=True)
    asking.start()
    asking.join(SECONDS + 1)
    return answers[0] if answers else TimeoutError()


def _unreachable(model: str) -> str:
    """Return why a model is not available; "" if the cache or the hub has it."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(model, "config.json"), str):
            return ""
    except HFValidationError:
        return "it is not a valid model id"
    answer = ask(model)
    if isinstance(answer, RepositoryNotFoundError):
        return "the hub has no model of that name, or it needs a login (hf auth login)"
    return f"the hub does not answer ({type(answer).__name__})" if isinstance(answer, Exception) else ""


def weights_digest(folder: Path) -> str:
    """Digest of a model's weights and tokenizer: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("tokenizer.json")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()

"""Find a model in a folder, the local Hugging Face cache or on the hub, without loading it."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from deskloop.contract.errors import ConfigError
from deskloop.contract.extras import require_extra
from deskloop.contract.hub import ask
from deskloop.contract.paths import is_folder, written
from deskloop.contract.quiet import quiet

WEIGHTS = ("*.safetensors", "*.bin")
FILES = (*WEIGHTS, "*.json", "*.spm", "*.model", "*.txt", "*.jinja")


@dataclass(frozen=True)
class Pretrained:
    """A model that can be loaded.

    Attributes:
        source: argument of `from_pretrained`: a folder, or an id.
        revision: commit of an id; None for a folder.
        version: the commit, or a digest of the folder's weights, settings and tokenizer.
        folder: of its files; None if they are not downloaded yet.
    """

    source: str
    revision: str | None
    version: str
    folder: Path | None


def resolve(model: str, where: str = "augment") -> Pretrained:
    """Find a model: as a folder, in the local cache, on the hub, in this order.

    Args:
        model: absolute path of a folder, or an id.
        where: whose model it is, for the error.
    Raises:
        ConfigError: it is nowhere.
    """
    from huggingface_hub import try_to_load_from_cache

    if is_folder(model):
        local = Path(model)
        _complete(local, written(model), where)
        files = sorted({path for pattern in FILES for path in local.glob(pattern)})
        stats = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
        return Pretrained(str(local), None, _digest(stats), local)
    try:
        cached = try_to_load_from_cache(model, "config.json")
    except ValueError:  # not a valid id
        raise _absent(model, where, "it is not a valid model id") from None
    if isinstance(cached, str) and _weights(Path(cached).parent):
        snapshot = Path(cached).parent
        return Pretrained(model, snapshot.name, snapshot.name, snapshot)
    commit = _on_hub(model, where)
    return Pretrained(model, commit, commit, None)


def check(model: str, where: str, architecture: str = "auto") -> None:
    """Refuse a model that is absent or of the wrong kind.

    Args:
        architecture: `seq2seq`, `chat`, or `auto` for either.
    Raises:
        ConfigError: it is nowhere, is no `architecture`, or is a chat model without a chat template.
    """
    require_extra("train", where)
    pretrained = resolve(model, where)
    if pretrained.folder is None:
        return  # its kind is known only once it is downloaded
    kind = architecture_of(pretrained, where)
    if architecture not in ("auto", kind):
        raise ConfigError(
            f"{where}: {written(model)!r} is a {kind} model, and a {architecture} model is needed", "augment"
        )
    if kind == "chat" and not _has_template(pretrained.folder):
        raise ConfigError(
            f"{where}: {written(model)!r} has no chat template: choose a chat (instruct) model, or a sequence-to-"
            "sequence model such as T5",
            "augment",
        )


def architecture_of(pretrained: Pretrained, where: str) -> str:
    """Return `seq2seq` or `chat`, by the model's config."""
    from transformers import AutoConfig

    try:
        with quiet():
            settings = AutoConfig.from_pretrained(pretrained.source, revision=pretrained.revision)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{where}: the config.json of {pretrained.source!r} cannot be read ({type(error).__name__}): expected a "
            "model in Hugging Face's format that this version of transformers knows",
            "augment",
        ) from None
    return "seq2seq" if settings.is_encoder_decoder else "chat"


def _complete(local: Path, model: str, where: str) -> None:
    there = {"config.json": (local / "config.json").is_file(), "weights (*.safetensors)": _weights(local)}
    missing = [name for name, is_there in there.items() if not is_there]
    if missing:
        raise ConfigError(
            f"{where}: folder {model!r} has no {' and no '.join(missing)}: expected a model as `save_pretrained` "
            "writes it",
            "augment",
        )


def _weights(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in WEIGHTS)


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and '"chat_template"' in settings.read_text(encoding="utf-8")


def _on_hub(model: str, where: str) -> str:
    """Return the commit of a model id on the hub.

    Raises:
        ConfigError: the hub has none, or cannot be reached.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    answer = ask(model)
    if isinstance(answer, RepositoryNotFoundError):
        raise _absent(model, where, "the hub has no such model, or it needs a login")
    if isinstance(answer, Exception):
        raise _absent(model, where, f"the hub cannot be reached ({type(answer).__name__})")
    if answer is None:
        raise _absent(model, where, "the hub reports no commit")
    return answer


def _absent(model: str, where: str, why: str) -> ConfigError:
    return ConfigError(
        f"{where}: model {model!r} is neither a folder nor in the local Hugging Face cache; {why}. Give a folder (a "
        f"relative one starts at the pipeline file), or download it where there is a network: hf download {model}",
        "augment",
    )


@lru_cache(maxsize=16)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path, _, _ in files:
        with open(path, "rb") as file:
            digest.update(Path(path).name.encode() + hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()

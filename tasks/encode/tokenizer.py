"""Adapt tokenizers to dialogues and placeholders, and convert them to and from bytes for the ledger."""

import copy
import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from deskloop.contract.quiet import quiet
from tasks.encode.rendering import DEFAULT_CHAT_TEMPLATE, TAGS

STOP = "<|endoftext|>"
PAD = "<|pad|>"


def adapt(tokenizer: Any, placeholders: Iterable[str]) -> Any:
    """Add what a dialogue needs to a tokenizer: one token per placeholder, a chat template, a stop and a pad token.

    The token of a placeholder is not "special", so that it survives `decode(skip_special_tokens=True)`, and does not
    absorb surrounding white space. Existing settings of the tokenizer are not replaced.

    Args:
        tokenizer: a fast Hugging Face tokenizer; not modified.
        placeholders: such as `<PERSON_1>`, in the order of their ids.
    Returns:
        A copy of the tokenizer with the additional tokens.
    """
    from tokenizers import AddedToken

    tokenizer = copy.deepcopy(tokenizer)
    special = {}
    if tokenizer.eos_token is None:
        special["eos_token"] = STOP
    if tokenizer.pad_token is None:
        special["pad_token"] = PAD
    if special:
        tokenizer.add_special_tokens(special)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = DEFAULT_CHAT_TEMPLATE
        tags = [AddedToken(tag, normalized=False, special=True) for tag in TAGS.values()]
        tokenizer.add_tokens(tags, special_tokens=True)
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in placeholders])
    return tokenizer


def to_files(tokenizer: Any) -> dict[str, bytes]:
    """Return the files of `save_pretrained`, without traces of the tokenizer's origin.

    Returns:
        File name -> bytes, sorted by name: `tokenizer.json`, `tokenizer_config.json`, perhaps `chat_template.jinja`.
    """
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()}
    settings = json.loads(files["tokenizer_config.json"])
    for trace in ("name_or_path", "is_local", "local_files_only"):
        settings.pop(trace, None)
    if settings.get("tokenizer_class") == "TokenizersBackend":  # transformers 5's name, unknown to other loaders
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    files["tokenizer_config.json"] = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False).encode()
    return files


def load(files: Mapping[str, bytes], name: str = "") -> Any:
    """Load a tokenizer from its files; cached by content for the life of the process.

    Args:
        files: the result of `to_files`.
        name: the base model's name, for errors.
    """
    return _load(tuple(sorted(files.items())), name)


@lru_cache(maxsize=4)
def _load(files: tuple[tuple[str, bytes], ...], name: str) -> Any:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        for file, content in files:
            Path(folder, file).write_bytes(content)
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.name_or_path = name
    return tokenizer


def digest(files: Mapping[str, bytes]) -> str:
    """Return a hash of the tokenizer's files; models with the same hash are comparable token by token."""
    parts = [f"{name}:{hashlib.sha256(content).hexdigest()}" for name, content in sorted(files.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

"""A model's folder: its files have the usual mode, regardless of the library that wrote them."""

import os
import stat
from pathlib import Path

import pytest

from deskloop.models.folder import readable
from tasks.encode import tiny
from tasks.encode import tokenizer as tokenizer_module


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_weights_are_readable_like_their_neighbours(tmp_path: Path, umask: int, mode: int) -> None:
    """safetensors writes 0600 where the umask would allow more."""
    folder = tmp_path / "model"
    before = os.umask(umask)
    try:
        tiny.make_tiny(
            tokenizer_module.to_files(tokenizer_module.load(tiny.train_tokenizer(["a b"] * 5, 300))), folder, 1
        )
        readable(folder)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(modes, mode)
    assert "model.safetensors" in modes

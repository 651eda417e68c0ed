"""A model's folder: its path and the checksums of its files."""

import stat
import tempfile
from pathlib import Path

from deskloop.contract.errors import DamageError
from deskloop.contract.hub import weights_digest
from deskloop.store.catalog import Version
from deskloop.store.checksums import file_checksum

RECORD = "deskloop.json"  # figures of the training
FILES = "files"  # key in a model's details: checksums of its files
NOT_CHECKED = ("README.md",)


def folder_of(root: Path, version: Version) -> Path:
    """Return the folder of a published model in the store at `root`."""
    return root / place_of(version)


def readable(folder: Path) -> None:
    """Give every file of a model's folder the mode of a new file; safetensors writes files with mode 0600."""
    # Reading the umask would require setting it, for all threads; a new file shows it too.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        probe = Path(scratch, "probe")
        probe.touch()
        mode = stat.S_IMODE(probe.stat().st_mode)
    for path in folder.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def place_of(version: Version) -> str:
    """Return the path of a model's folder inside the store."""
    return f"models/{version.dataset}/{version.fingerprint[:16]}"


def file_checksums(folder: Path) -> dict[str, str]:
    """Return path -> BLAKE2b-128 of all files in a model's folder except its card, which each promotion rewrites."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in NOT_CHECKED]
    return {str(path.relative_to(folder)): file_checksum(path) for path in paths if not path.name.startswith(".card-")}


def folder_problem(root: Path, version: Version) -> str:
    """Return how a model's folder differs from its checksums, or ""; reads all files, about a second per gigabyte."""
    folder = folder_of(root, version)
    if not folder.is_dir():
        return "its folder is missing"
    expected = version.details.get(FILES)
    if expected is None:  # published by an earlier version of deskloop
        return "" if weights_digest(folder) == version.digest else "its weights or tokenizer have changed"
    present = file_checksums(folder)
    missing = sorted(expected.keys() - present.keys())
    changed = sorted(name for name in expected.keys() & present.keys() if expected[name] != present[name])
    return "; ".join(
        [*(f"{name} is missing" for name in missing), *(f"{name} does not match its checksum" for name in changed)]
    )


def check_folder(root: Path, version: Version) -> None:
    """Refuse a model whose folder differs from what was published.

    Raises:
        DamageError: files are missing or differ; the message names them.
    """
    problem = folder_problem(root, version)
    if problem:
        raise DamageError(place_of(version), problem)

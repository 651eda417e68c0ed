"""A model's folder: where it lies, the checksums of its files, and the digest of its weights."""

import stat
import tempfile
from pathlib import Path

from deskloop.contract.errors import DamageError
from deskloop.contract.hub import weights_digest
from deskloop.store.catalog import Version
from deskloop.store.checksums import file_checksum

RECORD = "deskloop.json"  # what the training told
FILES = "files"  # in a model's details: its files' checksums
NOT_CHECKED = ("README.md",)


def folder_of(root: Path, version: Version) -> Path:
    """Where a published model lies in the store of that root."""
    return root / "models" / version.dataset / version.fingerprint[:16]


def readable(folder: Path) -> None:
    """Give every file of a model's folder the permissions that the umask allows; safetensors' own are 0600."""
    # The umask can only be read by setting it, and that for all threads: a new file tells it as well.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        probe = Path(scratch, "probe")
        probe.touch()
        mode = stat.S_IMODE(probe.stat().st_mode)
    for path in folder.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def place_of(version: Version) -> str:
    """How messages name a model's folder."""
    return f"models/{version.dataset}/{version.fingerprint[:16]}"


def file_checksums(folder: Path) -> dict[str, str]:
    """File name -> BLAKE2b-128 of everything in a model's folder but its card, which each judgement writes anew."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in NOT_CHECKED]
    return {str(path.relative_to(folder)): file_checksum(path) for path in paths if not path.name.startswith(".card-")}


def folder_problem(root: Path, version: Version) -> str:
    """What is wrong with a model's folder, "" if nothing; reads all of it, about a second for each gigabyte."""
    folder = folder_of(root, version)
    if not folder.is_dir():
        return "its folder is missing"
    expected = version.details.get(FILES)
    if expected is None:  # of an earlier deskloop
        return "" if weights_digest(folder) == version.digest else "its weights or tokenizer are others"
    present = file_checksums(folder)
    missing = sorted(expected.keys() - present.keys())
    changed = sorted(name for name in expected.keys() & present.keys() if expected[name] != present[name])
    told = [*(f"{name} is missing" for name in missing), *(f"{name} does not match its checksum" for name in changed)]
    return "; ".join(told)


def check_folder(root: Path, version: Version) -> None:
    """Refuse a model whose folder is not what was published.

    Raises:
        DamageError: names the files.
    """
    problem = folder_problem(root, version)
    if problem:
        raise DamageError(place_of(version), problem)

"""Samples: `--sample N` works in a store of its own, beside the pipeline's and recognised by its folder's name.

    .deskloop/support               the pipeline's store
    .deskloop/support-sample-200    the store of `--sample 200`

A sample decides nothing outside its own store: it has its own keys, ledger, memo and catalog, and its own embedded
model registry, whatever MLFLOW_TRACKING_URI says.
"""

import re
import shlex
from pathlib import Path

from deskloop.contract.errors import ConfigError

_NAME = re.compile(r"(?P<store>.+)-sample-(?P<records>\d+)")


def sample_root(root: Path, records: int) -> Path:
    """Where the sample of a store lies."""
    return root.with_name(f"{root.name}-sample-{records}")


def is_sample(root: Path) -> bool:
    """Whether a folder's name is that of a sample's store; no pipeline may give its own store such a name."""
    return _NAME.fullmatch(root.name) is not None


def samples_of(root: Path) -> list[int]:
    """The samples that a store has, by their numbers of records."""
    found = (_NAME.fullmatch(path.name) for path in root.parent.glob("*-sample-*") if path.is_dir())
    return sorted(int(match["records"]) for match in found if match and match["store"] == root.name)


def check_sample(root: Path, records: int, file: str) -> None:
    """Refuse to look at a sample that has never been run.

    Args:
        root: of the pipeline's own store.
        file: the pipeline file as the user wrote it.
    Raises:
        ConfigError: names the samples that there are.
    """
    if sample_root(root, records).is_dir():
        return
    there = samples_of(root)
    known = f"there are samples of {', '.join(map(str, there))} records" if there else "there is no sample yet"
    raise ConfigError(
        f"--sample {records}: this sample has no store; {known}. "
        f"Make it with: deskloop run -c {shlex.quote(file)} --sample {records}",
        "the command",
    )

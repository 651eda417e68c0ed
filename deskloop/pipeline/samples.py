"""Samples: `--sample N` uses its own store, a folder beside the pipeline's that is identified by its name.

    .deskloop/support               the pipeline's store
    .deskloop/support-sample-200    the store of `--sample 200`

A sample has no effect outside its own store: it has its own keys, ledger, memo and catalog, and its own embedded
model registry, regardless of MLFLOW_TRACKING_URI.
"""

import re
import shlex
from pathlib import Path

from deskloop.contract.errors import ConfigError

_NAME = re.compile(r"(?P<store>.+)-sample-(?P<records>\d+)")


def sample_root(root: Path, records: int) -> Path:
    """Return the folder of a sample's store."""
    return root.with_name(f"{root.name}-sample-{records}")


def is_sample(root: Path) -> bool:
    """Return whether a folder has the name of a sample's store, which a pipeline must not give to its own store."""
    return _NAME.fullmatch(root.name) is not None


def samples_of(root: Path) -> list[int]:
    """Return the sizes of a store's samples in records, in ascending order."""
    matches = (_NAME.fullmatch(path.name) for path in root.parent.glob("*-sample-*") if path.is_dir())
    return sorted(int(match["records"]) for match in matches if match and match["store"] == root.name)


def check_sample(root: Path, records: int, file: str) -> None:
    """Refuse a sample that has never been run.

    Args:
        root: of the pipeline's own store.
        file: the path of the pipeline file as the user wrote it.
    Raises:
        ConfigError: there is no such sample; the message lists the available ones.
    """
    if sample_root(root, records).is_dir():
        return
    available = ", ".join(map(str, samples_of(root))) or "none"
    raise ConfigError(
        f"--sample {records}: this sample has no store; available samples, in records: {available}. "
        f"Create it with: deskloop run -c {shlex.quote(file)} --sample {records}",
        "the command",
    )

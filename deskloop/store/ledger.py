"""The ledger: decisions that cannot be derived from the data again.

    families   conversation_id -> family, split, excluded     (written by the step that assigns splits)
    artifacts  step, recipe -> hash of the fitted artifact, the number of rows it was fitted on, and the reason
    blobs/     the artifacts' files, by hash

A rebuild from the raw zone and the ledger gives the same digests, so a backup must include both.
"""

import hashlib
import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DamageError
from deskloop.store.checksums import marked
from deskloop.store.commit import committing, write_state
from deskloop.store.snapshot import state_rows

FAMILIES = pa.schema(
    [("conversation_id", pa.string()), ("family", pa.string()), ("split", pa.string()), ("excluded", pa.bool_())]
)
_ARTIFACTS = pa.schema(
    [
        ("step", pa.string()),
        ("recipe", pa.string()),
        ("hash", pa.string()),
        ("rows", pa.int64()),
        ("reason", pa.string()),
        ("fitted_at", pa.timestamp("us", tz="UTC")),
    ]
)


class Ledger:
    """Reads and writes the ledger's tables; each write is one atomic commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def families(self) -> pd.DataFrame:
        """Return all families: (n, [conversation_id, family, split, excluded]); empty before the first split."""
        return self._read("families", FAMILIES).to_pandas()

    def remember_families(self, families: pd.DataFrame) -> None:
        """Add or change families in one commit."""
        rows = pa.Table.from_pandas(families, schema=FAMILIES, preserve_index=False)
        folder = self.folder / "families"
        if not (folder / "_delta_log").is_dir():
            write_state(folder, rows)
            return
        changed = "s.family <> t.family OR s.split <> t.split OR s.excluded <> t.excluded"
        with committing(folder, reads=True) as table:
            matching = ("t.conversation_id = s.conversation_id", "s", "t")
            merger = table.merge(rows, *matching, commit_properties=marked())
            merger.when_matched_update_all(changed).when_not_matched_insert_all().execute()

    def artifact(self, step: str, recipe: str) -> tuple[str, int] | None:
        """Return (hash, rows it was fitted on) of the latest artifact of a step with this recipe."""
        rows = self._read("artifacts", _ARTIFACTS).to_pylist()
        matching = [row for row in rows if row["step"] == step and row["recipe"] == recipe]
        latest = max(matching, key=lambda row: row["fitted_at"], default=None)
        return (latest["hash"], latest["rows"]) if latest else None

    def record_artifact(self, step: str, recipe: str, files: Mapping[str, bytes], rows: int, reason: str) -> str:
        """Store an artifact's files and record it; return its hash."""
        digest = artifact_hash(files)
        target = self.folder / "blobs" / digest
        if not target.exists():
            temporary = target.with_name(f".{uuid.uuid4().hex}")
            temporary.mkdir(parents=True)
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            try:
                temporary.rename(target)
            except OSError:
                # Another writer was first with the same content.
                shutil.rmtree(temporary)
        # Later than all recorded artifacts even if the clock was set back: the last one recorded must be the latest.
        times = self._read("artifacts", _ARTIFACTS)["fitted_at"].to_pylist()
        row = {
            "step": step,
            "recipe": recipe,
            "hash": digest,
            "rows": rows,
            "reason": reason,
            "fitted_at": max([datetime.now(UTC), *(at + timedelta(microseconds=1) for at in times)]),
        }
        write_state(self.folder / "artifacts", pa.Table.from_pylist([row], schema=_ARTIFACTS))
        return digest

    def files(self, digest: str) -> dict[str, bytes]:
        """Read the files of an artifact: name -> bytes.

        Raises:
            DamageError: files are missing, or do not match the hash.
        """
        folder = self.folder / "blobs" / digest
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}
        if artifact_hash(files) != digest:
            raise DamageError(f"ledger/blobs/{digest}", "its files are missing or do not match its name, their hash")
        return files

    def artifacts(self) -> dict[str, str]:
        """Return every artifact: hash -> the step that fitted it."""
        return {row["hash"]: row["step"] for row in self._read("artifacts", _ARTIFACTS).to_pylist()}

    def forget_artifact(self, digest: str) -> None:
        """Delete an artifact; the next run refits it."""
        with committing(self.folder / "artifacts", reads=True) as table:
            table.delete(f"hash = '{digest}'", commit_properties=marked())
        shutil.rmtree(self.folder / "blobs" / digest, ignore_errors=True)

    def _read(self, name: str, schema: pa.Schema) -> pa.Table:
        return state_rows(self.folder / name, schema)


def artifact_hash(files: Mapping[str, bytes]) -> str:
    """Return the digest of an artifact's files, including their names: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(files):
        digest.update(f"{name}\x1f{len(files[name])}\x1f".encode())
        digest.update(files[name])
    return digest.hexdigest()

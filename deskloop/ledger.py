"""The ledger: decisions that cannot be derived again from the data.

    families   conversation_id -> family, split, held     (written by the step that assigns splits)
    artifacts  step, recipe -> hash of what was fitted, on how many rows, why
    blobs/     the artifacts' files, by hash

A rebuild from raw and the ledger gives the same digests; so both are what a backup must hold.
"""

import hashlib
import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa

FAMILIES = pa.schema(
    [("conversation_id", pa.string()), ("family", pa.string()), ("split", pa.string()), ("held", pa.bool_())]
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
        """All families: (n, [conversation_id, family, split, held]); empty before the first split."""
        return self._read("families", FAMILIES).to_pandas()

    def remember_families(self, families: pd.DataFrame) -> None:
        """Add or change families in one commit."""
        from deltalake import DeltaTable, write_deltalake

        rows = pa.Table.from_pandas(families, schema=FAMILIES, preserve_index=False)
        path = str(self.folder / "families")
        if not (self.folder / "families" / "_delta_log").is_dir():
            write_deltalake(path, rows, configuration={"delta.dataSkippingNumIndexedCols": "0"})
            return
        changed = "s.family <> t.family OR s.split <> t.split OR s.held <> t.held"
        merger = DeltaTable(path).merge(rows, "t.conversation_id = s.conversation_id", "s", "t")
        merger.when_matched_update_all(changed).when_not_matched_insert_all().execute()

    def artifact(self, step: str, recipe: str) -> tuple[str, int] | None:
        """(hash, rows it was fitted on) of the latest artifact of a step under a recipe."""
        rows = self._read("artifacts", _ARTIFACTS).to_pylist()
        found = [row for row in rows if row["step"] == step and row["recipe"] == recipe]
        latest = max(found, key=lambda row: row["fitted_at"], default=None)
        return (latest["hash"], latest["rows"]) if latest else None

    def record_artifact(self, step: str, recipe: str, files: Mapping[str, bytes], rows: int, reason: str) -> str:
        """Keep an artifact's files and note it; returns its hash."""
        from deltalake import write_deltalake

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
        # Later than all that is there, also by a clock that was set back: the latest artifact is the last one recorded.
        times = self._read("artifacts", _ARTIFACTS)["fitted_at"].to_pylist()
        note = {
            "step": step,
            "recipe": recipe,
            "hash": digest,
            "rows": rows,
            "reason": reason,
            "fitted_at": max([datetime.now(UTC), *(at + timedelta(microseconds=1) for at in times)]),
        }
        write_deltalake(str(self.folder / "artifacts"), pa.Table.from_pylist([note], schema=_ARTIFACTS), mode="append")
        return digest

    def files(self, digest: str) -> dict[str, bytes]:
        """The files of an artifact: name -> bytes."""
        return {path.name: path.read_bytes() for path in sorted((self.folder / "blobs" / digest).iterdir())}

    def artifacts(self) -> dict[str, str]:
        """Every artifact that there is: hash -> the step that learned it."""
        return {row["hash"]: row["step"] for row in self._read("artifacts", _ARTIFACTS).to_pylist()}

    def forget_artifact(self, digest: str) -> None:
        """Delete an artifact; its step learns anew in the next run."""
        from deltalake import DeltaTable

        DeltaTable(str(self.folder / "artifacts")).delete(f"hash = '{digest}'")
        shutil.rmtree(self.folder / "blobs" / digest, ignore_errors=True)

    def _read(self, name: str, schema: pa.Schema) -> pa.Table:
        from deltalake import DeltaTable

        if not (self.folder / name / "_delta_log").is_dir():
            return schema.empty_table()
        return DeltaTable(str(self.folder / name)).to_pyarrow_table(columns=schema.names).cast(schema)


def artifact_hash(files: Mapping[str, bytes]) -> str:
    """Digest of an artifact's files, names included: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(files):
        digest.update(f"{name}\x1f{len(files[name])}\x1f".encode())
        digest.update(files[name])
    return digest.hexdigest()

"""Restoration of a backup: unpacked beside the store, verified, given newer erasures, and put in the store's place."""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Any

import orjson

from deskloop.backup.contents import PRIVATE, part_of
from deskloop.backup.create import FORMAT, HEAD, INSIDE, MANIFEST
from deskloop.backup.sealed import DAMAGED, Lock, opening
from deskloop.contract.errors import ConfigError, DataError
from deskloop.erase import erase
from deskloop.store import key_checks, zones
from deskloop.store import replacement as place
from deskloop.store.erasures import Journal, erasures, pending
from deskloop.store.keys import all_keys
from deskloop.store.store import Store

BLOCK = 1 << 20
LARGEST_NOTE = 256 << 20  # bytes of the manifest; about 100 per file
Say = Callable[[str], None]


def restore(
    root: Path, file: IO[bytes], lock: Lock, replace: bool = False, dry_run: bool = False, say: Say = lambda line: None
) -> dict[str, Any]:
    """Restore a store.

    Erasures that are in the ledger of the existing store but not in the backup are repeated on the unpacked files, so
    that the data of people who were erased since the backup does not return.

    Args:
        root: the folder of the store.
        replace: replace and delete an existing store.
        dry_run: unpack and verify only.
    Returns:
        The contents of the backup: `made_at`, `parts` with files and bytes, `key_id`; and the number of repeated
        `erasures`.
    Raises:
        ConfigError: there is a store, a run is working on it, or the file is not a backup or cannot be decrypted.
        DataError: the backup is damaged; the store is unchanged.
    """
    if not replace and not dry_run and root.exists() and not place.is_empty(root):
        raise ConfigError(
            f"there is a store at {root}; add --replace to put the backup in its place, which deletes it", "the command"
        )
    with (
        Store(root).alone() if root.is_dir() else nullcontext(),
        zones.allow_raw("restore"),
        place.unpacking(root) as folder,
    ):
        head = _unpack(file, lock, folder)
        say(f"  {head['files']:,} files unpacked and verified")
        _check(folder, head)
        head["erasures"] = 0 if dry_run else _erase_again(root, folder, head, say)
        if not dry_run:
            place.put(folder, root)
    return head


def _unpack(file: IO[bytes], lock: Lock, folder: Path) -> dict[str, Any]:
    """Write the files of the backup into a folder; every file is verified against the manifest."""
    seen: dict[str, tuple[int, str]] = {}
    head: dict[str, Any] = {}
    manifest: dict[str, Any] | None = None
    try:
        with opening(file, lock) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None or manifest is not None:
                    raise DataError(DAMAGED)
                if member.name in (HEAD, MANIFEST):
                    note = orjson.loads(content.read(min(member.size, LARGEST_NOTE)))
                    head, manifest = (note, None) if member.name == HEAD else (head, note["files"])
                    _check_format(head)
                else:
                    name = member.name.removeprefix(INSIDE)
                    part = part_of(name)
                    if part is None or name in seen or not member.name.startswith(INSIDE):
                        raise DataError(DAMAGED)
                    seen[name] = (member.size, _extract(content, folder / name, part, member))
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError):
        raise DataError(DAMAGED) from None
    if manifest is None or {name: tuple(entry) for name, entry in manifest.items()} != seen:
        raise DataError(DAMAGED)
    parts = {name: {"files": 0, "bytes": 0} for name in head["parts"]}
    for name, (size, _) in seen.items():
        counts = parts[str(part_of(name))]
        counts["files"] += 1
        counts["bytes"] += size
    return head | {"parts": parts, "files": len(seen), "bytes": sum(size for size, _ in seen.values())}


def _check_format(head: dict[str, Any]) -> None:
    if head.get("format") != FORMAT:
        raise ConfigError(
            f"the backup has format {head.get('format')}, this version of deskloop reads {FORMAT}; restore it with the "
            "version that wrote it",
            "the backup",
        )


def _extract(content: IO[bytes], target: Path, part: str, member: tarfile.TarInfo) -> str:
    """Write one file and return its SHA-256 hash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if part in PRIVATE else 0o600 | (member.mode & 0o044)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        while block := content.read(BLOCK):
            digest.update(block)
            file.write(block)
    os.chmod(target, mode)
    os.utime(target, (member.mtime, member.mtime))
    return digest.hexdigest()


def _check(folder: Path, head: dict[str, Any]) -> None:
    """Check that the keys are the ones that the ledger was written with."""
    keys = all_keys(folder / "keys")
    key_checks.verify(folder, keys)
    key_checks.verify_erasures(folder, keys)
    Store(folder).prepare()
    folder.chmod(0o755)
    if keys[0].id != head["key_id"]:
        raise DataError(DAMAGED)


def _erase_again(root: Path, folder: Path, head: dict[str, Any], say: Say) -> int:
    """Repeat the erasures that were made in the existing store since the backup; return their number."""
    journals = _newer(root, folder)
    if not journals:
        return 0
    for name in sorted({journal.key_id for journal in journals}):
        _carry_key(root / "keys", folder / "keys", name)
    store = Store(folder)
    for journal in journals:
        if "registry" not in head["parts"]:
            journal.models = {}
        journal.save(folder / "ledger")
        erase.finish(store, journal, lambda line: None)
    say(f"  {len(journals):,} erasures that are newer than the backup were repeated on it")
    key_checks.record(folder, store.keys())
    return len(journals)


def _newer(root: Path, folder: Path) -> list[Journal]:
    """Return new journals of the erasures that only the existing store has."""
    ledger = root / "ledger"
    try:
        rows, unfinished = erasures(ledger), pending(ledger)
    except Exception:  # any kind of damage; the original message may quote data
        raise DataError(
            f"the ledger of the existing store, {ledger}, cannot be read, so that the erasures since the backup are "
            "unknown. Move the store away to restore without them, and erase these people again"
        ) from None
    restored = {row["id"] for row in erasures(folder / "ledger")}
    journals = [
        Journal(
            **{
                name: row[name]
                for name in ("id", "reason", "key_id", "customers", "person_keys", "conversations", "records")
            },
            erased_at=row["erased_at"].isoformat(),
            until=row["until"].isoformat(),
            rows=row["rows"],
            models=row["models"],
        )
        for row in rows
        if row["id"] not in restored
    ]
    if unfinished is not None and unfinished.id not in restored | {journal.id for journal in journals}:
        unfinished.phase, unfinished.tables, unfinished.kept_versions = "rewrite", {}, []
        journals.append(unfinished)
    return journals


def _carry_key(existing: Path, restored: Path, identity: str) -> None:
    """Copy a key that only the existing store has, as a retired one: its erasures depend on it."""
    if identity in {key.id for key in all_keys(restored)}:
        return
    for path in (existing / f"hmac-{identity}.json", existing / "hmac.json"):
        with suppress(OSError, ValueError):
            if orjson.loads(path.read_bytes()).get("id") == identity:
                target = restored / f"hmac-{identity}.json"
                shutil.copyfile(path, target)
                target.chmod(0o600)
                return
    raise ConfigError(
        f"key {identity}, which is required to recognize people who were erased since the backup, is missing in "
        f"{existing}; the store is unchanged",
        "the store",
    )

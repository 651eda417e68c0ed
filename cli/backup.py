"""`deskloop data backup` and `deskloop data restore`: a store in one encrypted file, and back."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.desk import opened
from cli.options import config_option, json_option, quiet_option, show
from deskloop.contract.errors import ConfigError
from deskloop.contract.progress import be_quiet, say, tick

PASSPHRASE = "DESKLOOP_BACKUP_PASSPHRASE"

_passphrase = click.option(
    "--passphrase-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help=f"A file with the passphrase in its first line. Default: ${PASSPHRASE}, else you are asked.",
)  # fmt: skip


@click.command("backup", short_help="Write an encrypted copy of the store.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@config_option
@click.option("--with", "wanted", metavar="PARTS", default="",
              help="Beside keys, ledger, raw and memo also clean, models, registry, reports, or all; separated by "
              "commas.")  # fmt: skip
@click.option("--recipient", default="", metavar="KEY", help="Encrypt for this age or SSH public key.")
@_passphrase
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option("--dry-run", is_flag=True, help="Count files and bytes; write nothing.")
@quiet_option
@json_option
def backup_command(
    file: Path | None, pipeline: str, wanted: str, recipient: str, passphrase_file: Path | None, overwrite: bool,
    dry_run: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write the store's keys, ledger, raw rows and memo to FILE, encrypted; every dataset can be rebuilt from them.

    With `--with all`, a restored store reuses everything. A backup still holds people who are erased later: delete
    old backups.
    """
    from deskloop.backup.contents import parts_of
    from deskloop.backup.create import backup, survey
    from deskloop.backup.sealed import Lock
    from deskloop.store.store import Store

    be_quiet(quiet)
    parts = parts_of([name.strip() for name in wanted.split(",") if name.strip()])
    root = opened(pipeline).pipeline.store
    if not (root / "keys").is_dir():
        raise ConfigError(f"there is no store at {root}: nothing has been run yet", "the store")
    if file is None and not dry_run:
        raise ConfigError("name the file to write, or add --dry-run", "the command")
    if recipient and passphrase_file:
        raise ConfigError("--recipient and --passphrase-file: choose one of them", "the command")
    store = Store(root)
    document: dict[str, Any] = {"status": "found"}
    if file is None or dry_run:
        document |= {"file": str(file) if file else None, "parts": survey(store, parts)}
    else:
        lock = Lock(keys=recipient) if recipient else Lock(_passphrase_of(passphrase_file, as_json, new=True))
        with store.locked():
            done = backup(store, file, lock, parts, overwrite, lambda part, of: tick(f"  {_size(part)} of {_size(of)}"))
        encrypted = "recipient" if recipient else "passphrase"
        document = {"status": "written", "file": str(file), "encrypted_for": encrypted, **done}
    show(document, as_json, _lines(document))


@click.command("restore", short_help="Restore the store from a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@click.option("--identity", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="The private key of the recipient: an age or SSH identity file.")  # fmt: skip
@_passphrase
@click.option("--replace", is_flag=True, help="Replace an existing store, which is deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a store is replaced.")
@click.option("--dry-run", is_flag=True, help="Open and verify the backup; change nothing.")
@quiet_option
@json_option
def restore_command(
    file: Path, pipeline: str, identity: Path | None, passphrase_file: Path | None, replace: bool, yes: bool,
    dry_run: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Restore the store of the pipeline from FILE.

    The backup is unpacked beside the store and verified before it replaces the store in one step. People who were
    erased from the current store since the backup are erased from the restored one too.
    """
    from deskloop.backup.restore import restore
    from deskloop.backup.sealed import Lock, mode_of, private_text

    be_quiet(quiet)
    root = opened(pipeline).pipeline.store
    with file.open("rb") as stream:
        if mode_of(stream) == "recipient":
            if identity is None:
                raise ConfigError("the backup was made for a recipient's key: add --identity FILE", "the command")
            lock = Lock(keys=private_text(identity, "--identity"))
        else:
            if identity is not None:
                raise ConfigError("the backup was made with a passphrase: leave out --identity", "the command")
            lock = Lock(_passphrase_of(passphrase_file, as_json, new=False))
        if replace and not dry_run and not yes and root.exists():
            if as_json:
                raise ConfigError("--json asks no questions; add --yes or --dry-run", "the command")
            click.confirm(f"This deletes the store at {root}. Replace it?", abort=True, err=True)
        restored = restore(root, stream, lock, replace, dry_run, say)
    fields = ("made_at", "key_id", "parts", "files", "bytes", "erasures")
    document: dict[str, Any] = {"status": "verified" if dry_run else "restored", "file": str(file), "store": str(root)}
    document |= {name: restored[name] for name in fields}
    show(document, as_json, _lines(document))


def _passphrase_of(file: Path | None, as_json: bool, new: bool) -> str:
    """The passphrase, from the file, the environment or the person at the terminal; never from an argument."""
    from deskloop.backup.sealed import private_text

    if file is not None:
        passphrase = private_text(file, "--passphrase-file").partition("\n")[0].rstrip("\r")
    elif PASSPHRASE in os.environ:
        passphrase = os.environ[PASSPHRASE]
    elif as_json:
        raise ConfigError(f"--json asks no questions; add --passphrase-file, or set ${PASSPHRASE}", "the command")
    else:
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    if not passphrase.strip():
        raise ConfigError("the passphrase is empty", "the command")
    return str(passphrase)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for part, counts in document["parts"].items():
        yield f"{part:<10} {counts['files']:>9,} files {_size(counts['bytes']):>12}"
    if document["status"] == "written":
        yield f"{document['file']}: {_size(document['bytes'])}, encrypted for a {document['encrypted_for']}"
    elif document["status"] in ("restored", "verified"):
        yield f"{document['status']}: the backup of {document['made_at'][:16]}, under key {document['key_id']}"
    if document.get("erasures"):
        yield f"{document['erasures']:,} erasures that are newer than the backup were applied to it"


def _size(count: int) -> str:
    """Bytes for a person: 1.4 MB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"

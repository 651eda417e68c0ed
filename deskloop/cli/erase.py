"""`deskloop data erase`: a person removed from every dataset, version, log and cache of a store, and of its samples."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deskloop.errors import ConfigError
from deskloop.progress import be_quiet, say
from deskloop.terminal import echo

if TYPE_CHECKING:
    from deskloop.erase.search import Asked
    from deskloop.store import Store

REASON = re.compile(r"[A-Za-z0-9_-]{1,40}")


@click.command("erase", short_help="Remove a person from everything.")
@click.option(
    "--customer",
    "customers",
    multiple=True,
    metavar="ID",
    help="A customer's id, e-mail or phone as the source writes it; may be repeated.",
)
@click.option(
    "--conversation", "conversations", multiple=True, metavar="ID", help="A conversation's id; may be repeated."
)
@click.option(
    "--reason",
    default="request",
    show_default=True,
    metavar="CODE",
    help="A short word for the ledger; no name, no text.",
)
@click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
@click.option("--dry-run", is_flag=True, help="Tell what would go; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def erase_command(
    customers: tuple[str, ...], conversations: tuple[str, ...], reason: str, pipeline: str, dry_run: bool, yes: bool,
    quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Remove customers or conversations from every dataset, version, log, change feed and cache, raw included.

    Models that were trained on their rows are named and marked, not deleted: the next run trains one without them.
    Their older rows are refused from then on; new tickets are not. Without a name it finishes an erasure that was
    interrupted.
    """
    from deskloop.cli.run import _settle_environment
    from deskloop.config import load_pipeline
    from deskloop.erase import stores
    from tasks import sections
    from tasks import stages as all_stages

    be_quiet(quiet)
    _settle_environment()
    found = stores.of_pipeline(load_pipeline(Path(pipeline), all_stages(), sections()).store)
    unfinished = any(map(stores.is_pending, found))
    if not customers and not conversations:
        if dry_run or not unfinished:
            told = "there is one to finish: leave out --dry-run" if unfinished else "nothing is half done"
            raise ConfigError(f"name whom to erase: --customer ID or --conversation ID; {told}", "the command")
        _tell(_finish(pipeline), as_json)
        return
    if not REASON.fullmatch(reason):
        raise ConfigError("--reason: a word of letters, digits, - and _, at most 40, for it stays", "the command")
    if unfinished:
        if dry_run:
            raise ConfigError("an erasure was interrupted; finish it first: deskloop data erase", "the store")
        say("  finishing the erasure that was interrupted")
        _finish(pipeline)
    with stores.locked(found) as held:
        asked = [_asked(store, customers, conversations) for store in held]
        document, previews = stores.look(held, asked)
        if document["status"] == "found" and not dry_run:
            if not (yes or _agreed(document, as_json)):
                raise click.Abort
            for store, one, preview in zip(held, asked, previews, strict=True):
                stores.begin(store, one, preview, reason)
    if document["status"] == "found" and not dry_run:
        document |= _finish(pipeline)
    _tell(document, as_json)


def _asked(store: "Store", customers: Sequence[str], conversations: Sequence[str]) -> "Asked":
    """What a store may know those asked for by.

    Raises:
        ConfigError: one of them is nobody's id.
    """
    from tasks.ingest.erased import asked_for

    keys = store.keys()
    try:
        return asked_for(customers, conversations, [key.secret for key in keys])
    except ValueError:
        raise ConfigError("--customer or --conversation: one is empty, or a word for nobody", "the command") from None


def _finish(pipeline: str) -> dict[str, Any]:
    """The flow, which gets the file's name alone: whom to erase stands in the stores' journals, as keyed hashes."""
    from flows.erase import erase

    return {"status": "erased", **erase(pipeline)}


def _agreed(document: Mapping[str, Any], as_json: bool) -> bool:
    """Ask the person at the terminal."""
    if as_json:
        raise ConfigError("--json asks no questions; add --yes or --dry-run", "the command")
    _show(document, err=True)
    return click.confirm("This cannot be undone. Erase?", default=False, err=True)


def _tell(document: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document))
    else:
        _show(document)


def _show(document: Mapping[str, Any], err: bool = False) -> None:
    """What was found or done, for a person; counts and names."""
    lines = [f"{document['status'].replace('_', ' ')}: {document['conversations']:,} conversations"]
    lines += [f"  {name:<24} {count:>7,} rows" for name, count in document["rows"].items()]
    if document["quarantine"]:
        lines.append(f"  {'quarantine':<24} {document['quarantine']:>7,} records that could not be read")
    for model in document["models"]:
        state = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
        lines.append(f"  model {model['model']}{state} was trained on {model['rows']:,} of these rows")
    if document["related"]:
        lines.append(
            f"  {document['related']:,} conversations share a key with these, but name somebody else too: they stay"
        )
    for file, count in (document.get("sources") or {}).items():
        lines.append(f"  {file} still holds {count:,} of their records: the next runs refuse them; the file is yours")
    for name, rows in document["samples"].items():
        lines.append(f"  {name}: {sum(rows.values()):,} rows")
    echo("\n".join(lines), err=err)

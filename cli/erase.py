"""`deskloop data erase`: a person removed from every dataset, version, log and cache of a store, and of its samples."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.desk import opened
from cli.flow import run_flow
from cli.options import config_option, json_option, quiet_option, show
from deskloop.contract.errors import ConfigError
from deskloop.contract.progress import be_quiet, say
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    from deskloop.erase.search import ErasureRequest
    from deskloop.store.store import Store

LISTED = 20  # unreadable records that a person sees by name
REASON = re.compile(r"[A-Za-z0-9_-]{1,40}")


@click.command("erase", short_help="Remove a person from everything.")
@click.option("--customer", "customers", multiple=True, metavar="ID",
              help="A customer's id, e-mail or phone as the source writes it; may be repeated.")  # fmt: skip
@click.option("--conversation", "conversations", multiple=True, metavar="ID",
              help="A conversation's id; may be repeated.")  # fmt: skip
@click.option("--reason", default="request", show_default=True, metavar="CODE",
              help="A short word for the ledger; no name, no text.")  # fmt: skip
@config_option
@click.option("--dry-run", is_flag=True, help="Report what would be erased; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--unreadable", is_flag=True, help="Also erase if only unreadable records match; see --dry-run for them.")
@quiet_option
@json_option
def erase_command(
    customers: tuple[str, ...], conversations: tuple[str, ...], reason: str, pipeline: str, dry_run: bool, yes: bool,
    unreadable: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Remove customers or conversations from every dataset, version, log, change feed and cache, raw included.

    Models that were trained on their rows are named and marked, not deleted: the next run trains one without them.
    Their older rows are refused from then on; new tickets are not. Without a name it finishes an erasure that was
    interrupted.
    """
    from deskloop.erase import stores

    be_quiet(quiet)
    loaded = opened(pipeline).pipeline
    existing = stores.of_pipeline(loaded.store)
    unfinished = any(map(stores.is_pending, existing))
    if not customers and not conversations:
        if dry_run or not unfinished:
            state = "there is one to finish: leave out --dry-run" if unfinished else "no erasure is unfinished"
            raise ConfigError(f"name whom to erase: --customer ID or --conversation ID; {state}", "the command")
        finished = _finish(pipeline)
        show(finished, as_json, _lines(finished))
        return
    if not REASON.fullmatch(reason):
        raise ConfigError("--reason: a word of letters, digits, - and _, at most 40, as it is kept", "the command")
    resumed = {}
    if unfinished:
        if dry_run:
            raise ConfigError("an erasure was interrupted; finish it first: deskloop data erase", "the store")
        say("finishing the erasure that was interrupted")
        resumed = {"resumed": _finish(pipeline)}
        if not as_json:
            show(None, False, _lines(resumed["resumed"]))
    with stores.locked(existing) as locked:
        requests = [
            _request(store, customers, conversations, [step.config for step in loaded.steps]) for store in locked
        ]
        document, previews = stores.look(locked, requests)
        certain = document["status"] == "found" and not dry_run and _confirmed(document, yes, unreadable, as_json)
        if certain:
            stores.begin(locked, requests, previews, reason)
    if certain:
        document |= _finish(pipeline)
    show(document | resumed, as_json, _lines(document))
    if document["status"] == "unconfirmed":
        click.get_current_context().exit(2)


def _request(
    store: "Store", customers: Sequence[str], conversations: Sequence[str], configs: Sequence[Any]
) -> "ErasureRequest":
    """Return the forms in which a store may hold the given ids.

    Args:
        configs: of the pipeline's steps.
    Raises:
        ConfigError: one of the ids is empty or stands for no person.
    """
    from tasks.ingest.config import IngestConfig
    from tasks.ingest.erasure import search_for

    keys = store.keys()
    secrets = [key.secret for key in keys]
    sources = [config for config in configs if isinstance(config, IngestConfig)]
    try:
        return search_for(customers, conversations, secrets, sources)
    except ValueError:
        problem = "--customer or --conversation: one is empty, or stands for no person"
        raise ConfigError(problem, "the command") from None


def _finish(pipeline: str) -> dict[str, Any]:
    """Run the flow, which gets the file's name only: the stores' journals hold whom to erase, as keyed hashes."""
    return {"status": "erased", **run_flow("erase", pipeline=pipeline)}


def _confirmed(document: dict[str, Any], yes: bool, unreadable: bool, as_json: bool) -> bool:
    """Ask for confirmation; without a question, an unconfirmed erasure gets the status `unconfirmed`.

    Unreadable records do not show whose they are, so `--yes` is not enough if nothing else matches.
    """
    if as_json and not yes:
        raise ConfigError("--json asks no questions; add --yes or --dry-run", "the command")
    alone = document["only_unreadable"] and not unreadable
    if yes and alone:
        document["status"] = "unconfirmed"
    if yes:
        return not alone
    echo("\n".join(_lines(document)), err=True)
    question = "This cannot be undone. Erase?"
    if alone:
        question = (
            "No conversation of theirs is in the store, only these records that could not be read. Erase them, and "
            "refuse them from now on?"
        )
    if not click.confirm(question, default=False, err=True):
        raise click.Abort
    return True


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Describe a preview or an erasure in counts, names and reasons, without any text."""
    status = document["status"]
    if status == "already_erased":
        yield "already erased: nothing of theirs is left"
        return
    yield f"{status}: {document['conversations']:,} conversations"
    by = Counter(reason for entry in document.get("matched", ()) for reason in entry["by"])
    yield from (f"  by {reason:<21} {count:>7,} conversations" for reason, count in by.most_common())
    yield from (f"  {name:<24} {count:>7,} rows" for name, count in document["rows"].items())
    if document["quarantine"]:
        yield f"  {'quarantine':<24} {document['quarantine']:>7,} records that could not be read"
    listed = document["unreadable"]
    yield from (f"    {shown(entry['row_id'])}: {shown(entry['why'])}" for entry in listed[:LISTED])
    if len(listed) > LISTED:
        yield f"    and {len(listed) - LISTED:,} more; --dry-run --json lists all"
    for model in document["models"]:
        state = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
        yield f"  model {model['model']}{state} was trained on {model['rows']:,} of these rows"
    if document["related"]:
        yield f"  {document['related']:,} conversations share a key with these, but name somebody else too: they stay"
    for file, count in (document.get("sources") or {}).items():
        yield f"  {shown(file)} still holds {count:,} of their records: the next runs refuse them; the file is yours"
    for name, rows in document["samples"].items():
        yield f"  {name}: {sum(rows.values()):,} rows"
    if status == "unconfirmed":
        yield (
            "nothing was erased: no conversation of theirs is in the store, only records that could not be read. "
            "Review the list, then add --unreadable to erase them"
        )


def shown(text: str) -> str:
    """A file's name or a record's id on a terminal: control characters escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )

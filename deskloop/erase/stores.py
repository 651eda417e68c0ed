"""The stores of one pipeline: its own, and those of its samples, which hold the same people under keys of their own."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deskloop.contract.erased import conversation_hash
from deskloop.contract.errors import ConfigError
from deskloop.erase import erase
from deskloop.erase.search import Asked
from deskloop.store import erasures as record
from deskloop.store import zones
from deskloop.store.erasures import erasures, pending
from deskloop.store.store import Store


def of_pipeline(root: Path) -> list[Store]:
    """The stores that are there, the pipeline's own first.

    Raises:
        ConfigError: nothing has been run yet.
    """
    found = [root, *sorted(root.parent.glob(f"{root.name}-sample-*"))]
    there = [Store(one) for one in found if (one / "keys").is_dir()]
    if not there:
        raise ConfigError(f"there is no store at {root}: nothing has been run yet", "the store")
    return there


def is_pending(store: Store) -> bool:
    """Whether an erasure is half done."""
    return pending(store.root / "ledger") is not None


@contextmanager
def locked(stores: Sequence[Store], erasing: bool = False) -> Iterator[list[Store]]:
    """All of them, runs kept off.

    Args:
        erasing: see `Store.locked`.
    """
    with ExitStack() as stack:
        for store in stores:
            stack.enter_context(store.locked(erasing))
        yield list(stores)


def look(stores: Sequence[Store], asked: Sequence[Asked]) -> tuple[dict[str, Any], list[erase.Preview]]:
    """What the stores hold of those asked for; changes nothing.

    Returns:
        (counts and names for the user, one preview for each store). `status` is found, or already_erased;
        `only_unreadable`: no conversation was found, only records that could not be read.
    Raises:
        ConfigError: nobody has ever heard of them.
    """
    with zones.allow_raw("erase"):
        previews = [erase.preview(store, one) for store, one in zip(stores, asked, strict=True)]
    own = previews[0].as_dict()
    samples = {store.root.name: one.as_dict()["rows"] for store, one in list(zip(stores, previews, strict=True))[1:]}
    alone = any(one.only_unreadable for one in previews) and not any(one.conversations for one in previews)
    models = [{"model": name, "rows": rows, "aliases": []} for name, rows in own["models"].items()]
    document = {"status": "found", **own, "models": models, "samples": samples, "only_unreadable": alone}
    if all(one.empty for one in previews):
        if not _known(stores[0], asked[0]):
            raise ConfigError(
                "no row of theirs is in the store; write an id, e-mail or phone as the source does", "the command"
            )
        document["status"] = "already_erased"
    return document, previews


def begin(stores: Sequence[Store], asked: Sequence[Asked], found: Sequence[erase.Preview], reason: str) -> None:
    """Make an erasure certain in all stores or in none; a store without a row of theirs notes whom to refuse, too."""
    with zones.allow_raw("erase"):
        for store, one, preview in zip(stores, asked, found, strict=True):
            erase.prepare(store, one, preview, reason)
    record.make_certain(stores[0].root / "ledger")
    settle(stores)


def settle(stores: Sequence[Store]) -> None:
    """Bring a beginning that was cut short to one of its two ends: certain everywhere, or nowhere.

    The first store decides: it was the first to be made certain, and is finished only after all others are certain.
    """
    certain = is_pending(stores[0])
    for store in stores:
        ledger = store.root / "ledger"
        if record.prepared(ledger):
            if certain and store is not stores[0]:
                record.make_certain(ledger)
            else:
                record.drop_prepared(ledger)


def _known(store: Store, asked: Asked) -> bool:
    """Whether all of them were erased before."""
    rows = erasures(store.root / "ledger")
    customers = {one for row in rows for one in row["customers"]}
    conversations = {one for row in rows for one in row["conversations"]}
    keys = store.keys()
    names = {conversation_hash(key.secret, name) for key in keys for name in asked.conversations}
    return bool(rows) and asked.customers <= customers and (not names or not names.isdisjoint(conversations))

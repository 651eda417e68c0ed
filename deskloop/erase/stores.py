"""Erasure from all stores of one pipeline: its own and its samples', which hold the same people under other keys."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deskloop.contract.erased import conversation_hash
from deskloop.contract.errors import ConfigError
from deskloop.erase import erase
from deskloop.erase.search import ErasureRequest
from deskloop.store import erasures as record
from deskloop.store import zones
from deskloop.store.erasures import erasures, pending
from deskloop.store.store import Store


def of_pipeline(root: Path) -> list[Store]:
    """Return the existing stores, the pipeline's own first.

    Raises:
        ConfigError: there is no store.
    """
    folders = [root, *sorted(root.parent.glob(f"{root.name}-sample-*"))]
    stores = [Store(folder) for folder in folders if (folder / "keys").is_dir()]
    if not stores:
        raise ConfigError(f"there is no store at {root}: the pipeline has not been run yet", "the store")
    return stores


def is_pending(store: Store) -> bool:
    """Return whether an erasure was started and is not complete."""
    return pending(store.root / "ledger") is not None


@contextmanager
def locked(stores: Sequence[Store], erasing: bool = False) -> Iterator[list[Store]]:
    """Lock all stores against runs.

    Args:
        erasing: see `Store.locked`.
    """
    with ExitStack() as stack:
        for store in stores:
            stack.enter_context(store.locked(erasing))
        yield list(stores)


def look(stores: Sequence[Store], requests: Sequence[ErasureRequest]) -> tuple[dict[str, Any], list[erase.Preview]]:
    """Preview an erasure in all stores without changing them.

    Returns:
        (counts and names for the user, one preview per store). `status` is found or already_erased;
        `only_unreadable`: no conversation was found, only unreadable records.
    Raises:
        ConfigError: the stores have no data of these people and have not erased them before.
    """
    with zones.allow_raw("erase"):
        previews = [erase.preview(store, request) for store, request in zip(stores, requests, strict=True)]
    main = previews[0].as_dict()
    samples = {store.root.name: dict(each.rows) for store, each in zip(stores[1:], previews[1:], strict=True)}
    alone = any(each.only_unreadable for each in previews) and not any(each.conversations for each in previews)
    models = [{"model": name, "rows": rows, "aliases": []} for name, rows in main["models"].items()]
    document = {"status": "found", **main, "models": models, "samples": samples, "only_unreadable": alone}
    if all(preview.empty for preview in previews):
        if not _already_erased(stores[0], requests[0]):
            raise ConfigError(
                "the store has no row of theirs; write an id, e-mail or phone as in the source", "the command"
            )
        document["status"] = "already_erased"
    return document, previews


def begin(
    stores: Sequence[Store], requests: Sequence[ErasureRequest], previews: Sequence[erase.Preview], reason: str
) -> None:
    """Commit an erasure in all stores or in none, also in stores without a row of theirs, to reject later records."""
    with zones.allow_raw("erase"):
        for store, request, preview in zip(stores, requests, previews, strict=True):
            erase.prepare(store, request, preview, reason)
    record.commit_prepared(stores[0].root / "ledger")
    settle(stores)


def settle(stores: Sequence[Store]) -> None:
    """Commit or discard an erasure whose preparation was interrupted, in all stores alike.

    The first store decides: it is the first to be committed, and is completed only after all others are committed.
    """
    committed = is_pending(stores[0])
    for store in stores:
        ledger = store.root / "ledger"
        if record.prepared(ledger):
            if committed and store is not stores[0]:
                record.commit_prepared(ledger)
            else:
                record.drop_prepared(ledger)


def _already_erased(store: Store, request: ErasureRequest) -> bool:
    """Return whether all of them were erased before."""
    rows = erasures(store.root / "ledger")
    customers = {key for row in rows for key in row["customers"]}
    conversations = {name for row in rows for name in row["conversations"]}
    keys = store.keys()
    names = {conversation_hash(key.secret, name) for key in keys for name in request.conversations}
    return bool(rows) and request.customers <= customers and (not names or not names.isdisjoint(conversations))

"""Whose a model's name is on a tracking server that several stores share.

The first store that registers a model under a name marks the name with the id of its HMAC key; every other store is
refused. Two stores under one name would move each other's champion, and neither can see the other's models, data or
evaluations. The key's id survives a backup, a move and a rotation (retired keys are kept), and says nothing about the
secret.
"""

from collections.abc import Mapping
from pathlib import Path

from deskloop.contract.errors import ConfigError
from deskloop.models.tracking import shown
from deskloop.store.keys import CURRENT, all_keys
from deskloop.store.store import Store

STORE = "deskloop.store"  # a tag of the registered model


def mark(root: Path) -> dict[str, str]:
    """The tag that makes a name the store's."""
    return {STORE: Store(root).key()[0]}


def check_owner(name: str, tags: Mapping[str, str], root: Path, uri: str) -> None:
    """Refuse a name on a server that is not the store's.

    Args:
        tags: of the registered model.
        root: the store's.
        uri: the server.
    Raises:
        ConfigError: says whose the name is, and what to do.
    """
    folder, owner = root / "keys", tags.get(STORE)
    ids = [key.id for key in all_keys(folder)] if (folder / CURRENT).exists() else []
    if owner in ids:
        return
    whose = "of another store" if owner else "that deskloop did not register"
    own = f" If it is this store's, set the registered model's tag {STORE} to {ids[0]} there." if ids else ""
    raise ConfigError(
        f"name: the registry at {shown(uri)} already has a model {name!r} {whose}. Give this pipeline another `name`, "
        f"or unset MLFLOW_TRACKING_URI to keep the registry in {root}.{own}",
        "the pipeline",
    )

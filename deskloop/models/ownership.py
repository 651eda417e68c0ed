"""Ownership of model names on a tracking server that several stores share.

The first store that registers a model under a name tags the name with the id of its HMAC key; every other store is
refused. Otherwise two stores would move each other's champion, without access to the other's models, data and
evaluations. The key's id survives a backup, a move and a rotation (retired keys are kept), and does not reveal the
secret.
"""

from collections.abc import Mapping
from pathlib import Path

from deskloop.contract.errors import ConfigError
from deskloop.models.tracking import without_credentials
from deskloop.store.keys import CURRENT, all_keys
from deskloop.store.store import Store

STORE = "deskloop.store"  # a tag of the registered model


def mark(root: Path) -> dict[str, str]:
    """Return the tag that assigns a name to the store."""
    return {STORE: Store(root).key()[0]}


def check_owner(name: str, tags: Mapping[str, str], root: Path, uri: str) -> None:
    """Refuse a name on a server that belongs to another store.

    Args:
        tags: of the registered model.
        root: the store's folder.
        uri: of the server.
    Raises:
        ConfigError: another store, or none, has registered the name.
    """
    folder, owner = root / "keys", tags.get(STORE)
    ids = [key.id for key in all_keys(folder)] if (folder / CURRENT).exists() else []
    if owner in ids:
        return
    whose = "of another store" if owner else "that deskloop did not register"
    hint = f" If it is this store's, set the registered model's tag {STORE} to {ids[0]} there." if ids else ""
    raise ConfigError(
        f"name: the registry at {without_credentials(uri)} already has a model {name!r} {whose}. Give this pipeline "
        f"another `name`, or unset MLFLOW_TRACKING_URI to keep the registry in {root}.{hint}",
        "the pipeline",
    )

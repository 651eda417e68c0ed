"""The boundary of the raw zone: ingest, scrub, erase, retention, backup, restore, `data verify` and `data trace --raw`
open it, and nothing else does.

    with allow_raw("erase"):
        store.read("raw", "ingested", 3)

Outside of such a block every method of the store that would open a raw table raises. The permission belongs to the
running context, so that it ends with its block, and a worker process has it only while it works on a step that
declares the zone.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

from deskloop.contract.errors import ZoneError

RAW = "raw"

_who: ContextVar[str] = ContextVar("who may open the raw zone", default="")


@contextmanager
def allow_raw(who: str) -> Iterator[None]:
    """Let what runs inside open the raw zone.

    Args:
        who: the step or command, for a person who debugs.
    """
    token = _who.set(who)
    try:
        yield
    finally:
        _who.reset(token)


def for_step(zones: Collection[str], step: str) -> AbstractContextManager[None]:
    """What a step may open: the raw zone, if its stage declares to read it or to write it."""
    return allow_raw(step) if RAW in zones else nullcontext()


def raw_is_open() -> bool:
    """Whether what runs now may open the raw zone."""
    return bool(_who.get())


def check(zone: str, dataset: str) -> None:
    """Refuse the raw zone to whoever has no business in it.

    Raises:
        ZoneError: the zone is raw, and this is not inside of `allow_raw`.
    """
    if zone == RAW and not raw_is_open():
        raise ZoneError(
            f"{dataset!r} is in the raw zone, which only ingest, scrub, erase, retention, backup, restore, "
            f"`deskloop data verify` and `deskloop data trace --raw` open; read the dataset that scrub left instead"
        )


@contextmanager
def owner_only(zone: str, folder: Path) -> Iterator[None]:
    """Make the files of a raw table readable by their owner alone when the block ends, whatever the umask.

    Until then the zone's folder protects them, as only its owner may enter it. The umask itself stays as it is, since
    it belongs to all threads of the process.
    """
    try:
        yield
    finally:
        for path in folder.rglob("*") if zone == RAW else ():
            if path.stat().st_mode & 0o077:
                path.chmod(0o700 if path.is_dir() else 0o600)

"""The boundary of the raw zone, which only ingest, scrub, erase, retention, backup, restore, `data verify` and
`data trace --raw` may open.

    with allow_raw("erase"):
        store.read("raw", "ingested", 3)

Outside such a block, every method of the store that would open a raw table raises an error. The permission is a context
variable, so that it ends with its block; a worker process has it only while it works on a step that declares the zone.
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
    """Permit the code inside this block to open the raw zone.

    Args:
        who: the step or command, for debugging.
    """
    token = _who.set(who)
    try:
        yield
    finally:
        _who.reset(token)


def for_step(zones: Collection[str], step: str) -> AbstractContextManager[None]:
    """Permit a step to open the raw zone if its stage declares to read or write it."""
    return allow_raw(step) if RAW in zones else nullcontext()


def raw_is_open() -> bool:
    """Return whether the current context may open the raw zone."""
    return bool(_who.get())


def check(zone: str, dataset: str) -> None:
    """Refuse the raw zone outside `allow_raw`.

    Raises:
        ZoneError: the zone is raw, and the current context may not open it.
    """
    if zone == RAW and not raw_is_open():
        raise ZoneError(
            f"{dataset!r} is in the raw zone, which only ingest, scrub, erase, retention, backup, restore, "
            f"`deskloop data verify` and `deskloop data trace --raw` may open; read the output of scrub instead"
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

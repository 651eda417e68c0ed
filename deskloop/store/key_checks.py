"""Whether the keys of a store are the ones that its data was made under.

    ledger/keys.json       for each key that the store has had, a check value: an HMAC of a constant under that key
    catalog/_keys.json     the same; one of the two is enough to notice a foreign key

Under another key nobody who was erased would be recognised, and every customer would get another name. So a key that
does not match its check value, or that the store has never had, is refused, and so is a store without a key that an
erasure needs. A check value tells nothing about its key.
"""

import hmac
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from deskloop.contract.errors import ConfigError
from deskloop.store.keys import Key

PLACES = (("ledger", "keys.json"), ("catalog", "_keys.json"))
REMEDY = (
    "Restore the folder `keys` from a backup of this store (`deskloop data restore`, or copy the files); nothing was "
    "changed"
)


@dataclass(frozen=True)
class Checks:
    """What a store knows of its keys.

    Attributes:
        current: id of the key in use; `next` is the one that a rotation is about to put in its place, or empty.
        values: key id -> its check value.
        given_up: ids of keys that were lost and whose erasures the user gave up.
    """

    current: str = ""
    next: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    given_up: tuple[str, ...] = ()


def check_value(key: Key) -> str:
    """HMAC-SHA256 of a constant: 64 hexadecimal digits."""
    return hmac.digest(key.secret, b"deskloop key check\x1f" + key.id.encode(), "sha256").hex()


def verify(root: Path, keys: Iterable[Key]) -> None:
    """Refuse keys that are not the store's; a store of an earlier version of deskloop has nothing to hold them against.

    Args:
        root: the store's folder.
        keys: the key in use first.
    Raises:
        ConfigError: a key does not match its check value, or the one in use has never been the store's.
    """
    found = list(keys)
    for checks in filter(None, (_read(root.joinpath(*place)) for place in PLACES)):
        for key in found:
            if key.id in checks.values and not hmac.compare_digest(checks.values[key.id], check_value(key)):
                raise ConfigError(f"key {key.id} is not the one that the data was made under. {REMEDY}", "the store")
        if found[0].id not in (checks.current, checks.next):
            raise ConfigError(
                f"{root / 'keys' / 'hmac.json'} holds key {found[0].id}, but the data was made under {checks.current}. "
                f"{REMEDY}",
                "the store",
            )


def needed(root: Path) -> dict[str, int]:
    """Key id -> how many erasures can be recognised by that key alone; keys that were given up aside."""
    from deskloop.store.erasures import erasures

    given_up = {name for checks in _present(root) for name in checks.given_up}
    counts: dict[str, int] = {}
    for row in erasures(root / "ledger"):
        if row["key_id"] not in given_up:
            counts[row["key_id"]] = counts.get(row["key_id"], 0) + 1
    return counts


def verify_erasures(root: Path, keys: Collection[Key]) -> None:
    """Refuse a store whose ledger has erasures under a key that is missing: these people would come back.

    Raises:
        ConfigError: names the keys.
    """
    there = {key.id for key in keys}
    missing = {name: count for name, count in needed(root).items() if name not in there}
    if missing:
        told = ", ".join(f"{name} ({count:,} erasures)" for name, count in sorted(missing.items()))
        files = ", ".join(f"keys/hmac-{name}.json" for name in sorted(missing))
        raise ConfigError(
            f"keys are missing by which erased people are recognised: {told}. Restore {files} from a backup of this "
            "store; nothing was changed",
            "the store",
        )


def record(root: Path, keys: Collection[Key]) -> None:
    """Note the check values of keys that were verified; the store is locked by the caller."""
    (first, *_) = keys
    known = _present(root)
    values = {name: value for checks in known for name, value in checks.values.items()}
    values |= {key.id: check_value(key) for key in keys}
    given_up = tuple(sorted({name for checks in known for name in checks.given_up}))
    _write(root, Checks(first.id, "", values, given_up))


def announce(root: Path, key: Key, given_up: Iterable[str] = ()) -> None:
    """Note that a rotation is about to put a key in use; killed before it does, the present one stays valid.

    Args:
        given_up: ids of lost keys whose erasures cannot be recognised any more.
    """
    known = _present(root)
    if not known:
        return
    values = {name: value for checks in known for name, value in checks.values.items()}
    lost = sorted({*given_up, *(name for checks in known for name in checks.given_up)})
    _write(root, Checks(known[0].current, key.id, values | {key.id: check_value(key)}, tuple(lost)))


def _present(root: Path) -> list[Checks]:
    return [checks for place in PLACES if (checks := _read(root.joinpath(*place))) is not None]


def _read(path: Path) -> Checks | None:
    try:
        content = orjson.loads(path.read_bytes())
        values = content["values"]
        if not all(isinstance(one, str) for one in (content["current"], content["next"], *values, *values.values())):
            raise ValueError
        return Checks(content["current"], content["next"], values, tuple(content["given_up"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "the store") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path} is damaged; restore it from a backup of this store", "the store") from None


def _write(root: Path, checks: Checks) -> None:
    """Write both places, each whole or not at all; what is there already is left."""
    content = orjson.dumps(asdict(checks), option=orjson.OPT_SORT_KEYS)
    for folder, name in PLACES:
        path = root / folder / name
        if path.exists() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{name}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

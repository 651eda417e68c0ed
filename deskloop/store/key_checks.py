"""Check values that verify that a store's keys are the ones its data was created with.

    ledger/keys.json       for each key that the store has had, a check value: an HMAC of a constant under that key
    catalog/_keys.json     the same; one of the two is enough to detect a foreign key

With another key, erased people would not be recognized and every customer would get another pseudonym. So a key that
does not match its check value, or that the store has never had, is refused, and so is a store that lacks a key that
erasures depend on. A check value does not reveal its key.
"""

import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from deskloop.contract.errors import ConfigError
from deskloop.store.durable import replace_file
from deskloop.store.keys import Key

PLACES = (("ledger", "keys.json"), ("catalog", "_keys.json"))
REMEDY = (
    "Restore the folder `keys` from a backup of this store (`deskloop data restore`, or copy the files); no data was "
    "changed"
)


@dataclass(frozen=True)
class Checks:
    """The check values of a store's keys.

    Attributes:
        current: id of the current key.
        next: id of the key that a rotation is about to make the current one, or empty.
        values: key id -> its check value.
        given_up: ids of lost keys whose erasures the user has agreed to lose.
    """

    current: str = ""
    next: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    given_up: tuple[str, ...] = ()


def check_value(key: Key) -> str:
    """Return the HMAC-SHA256 of a constant: 64 hexadecimal digits."""
    return hmac.digest(key.secret, b"deskloop key check\x1f" + key.id.encode(), "sha256").hex()


def verify(root: Path, keys: Iterable[Key]) -> None:
    """Refuse keys of another store; a store of an earlier version of deskloop has no check values to compare with.

    Args:
        root: the store's folder.
        keys: the current key first.
    Raises:
        ConfigError: a key does not match its check value, or the current one has never belonged to this store.
    """
    keys = list(keys)
    for checks in filter(None, (_read(root.joinpath(*place)) for place in PLACES)):
        for key in keys:
            if key.id in checks.values and not hmac.compare_digest(checks.values[key.id], check_value(key)):
                raise ConfigError(f"key {key.id} is not the one the data was created with. {REMEDY}", "the store")
        if keys[0].id not in (checks.current, checks.next):
            raise ConfigError(
                f"{root / 'keys' / 'hmac.json'} holds key {keys[0].id}, but the data was created with "
                f"{checks.current}. {REMEDY}",
                "the store",
            )


def needed(root: Path) -> dict[str, int]:
    """Return key id -> number of erasures that depend on that key, without the keys that were given up."""
    from deskloop.store.erasures import erasures

    given_up = {name for checks in _recorded(root) for name in checks.given_up}
    counts: dict[str, int] = {}
    for row in erasures(root / "ledger"):
        if row["key_id"] not in given_up:
            counts[row["key_id"]] = counts.get(row["key_id"], 0) + 1
    return counts


def verify_erasures(root: Path, keys: Collection[Key]) -> None:
    """Refuse a store with erasures whose key is missing: the data of these people would return.

    Raises:
        ConfigError: keys are missing; the message names them.
    """
    available = {key.id for key in keys}
    missing = {name: count for name, count in needed(root).items() if name not in available}
    if missing:
        counts = ", ".join(f"{name} ({count:,} erasures)" for name, count in sorted(missing.items()))
        files = ", ".join(f"keys/hmac-{name}.json" for name in sorted(missing))
        raise ConfigError(
            f"keys are missing that are required to recognize erased people: {counts}. Restore {files} from a backup "
            "of this store; no data was changed",
            "the store",
        )


def record(root: Path, keys: Collection[Key]) -> None:
    """Write the check values of verified keys, the current one first; the caller holds the store's lock."""
    (first, *_) = keys
    _write(root, _extended(_recorded(root), first.id, "", keys))


def announce(root: Path, key: Key, given_up: Iterable[str] = ()) -> None:
    """Record that a rotation is about to make a key the current one; if it is killed first, the old one stays valid.

    Args:
        given_up: ids of lost keys whose erasures can no longer be recognized.
    """
    recorded = _recorded(root)
    if recorded:
        _write(root, _extended(recorded, recorded[0].current, key.id, [key], given_up))


def _extended(
    recorded: list[Checks], current: str, following: str, keys: Iterable[Key], given_up: Iterable[str] = ()
) -> Checks:
    """Return the recorded check values together with those of `keys`."""
    values = {name: value for checks in recorded for name, value in checks.values.items()}
    values |= {key.id: check_value(key) for key in keys}
    lost = sorted({*given_up, *(name for checks in recorded for name in checks.given_up)})
    return Checks(current, following, values, tuple(lost))


def _recorded(root: Path) -> list[Checks]:
    return [checks for place in PLACES if (checks := _read(root.joinpath(*place))) is not None]


def _read(path: Path) -> Checks | None:
    try:
        content = orjson.loads(path.read_bytes())
        values = content["values"]
        texts = (content["current"], content["next"], *values, *values.values())
        if not all(isinstance(text, str) for text in texts):
            raise ValueError
        return Checks(content["current"], content["next"], values, tuple(content["given_up"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "the store") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path} is damaged; restore it from a backup of this store", "the store") from None


def _write(root: Path, checks: Checks) -> None:
    """Write both files atomically, except those with the same content."""
    content = orjson.dumps(asdict(checks), option=orjson.OPT_SORT_KEYS)
    for folder, name in PLACES:
        path = root / folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)

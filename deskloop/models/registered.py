"""One registered version, read from MLflow's tags.

What a model is made of hangs on its version as tags that are written with it, in one transaction, and never change.
Six tags may change, each in one write: what last judged it, what was decided, its promotion, the mark of a rollback,
how many of the rows it was trained on have been erased since, and which failed gates a message has gone out about.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import DataError
from deskloop.contract.hub import weights_digest
from deskloop.models.folder import RECORD
from deskloop.store.catalog import Version

CHAMPION, CHALLENGER = "champion", "challenger"
FINGERPRINT, WEIGHTS, SETTINGS = "deskloop.fingerprint", "deskloop.weights", "deskloop.settings"
CATALOG, FOLDER = "deskloop.catalog", "deskloop.folder"
DATA, DIGEST, LIBRARY = "deskloop.data.", "deskloop.digest.", "deskloop.library."
JUDGED, PROMOTION, ROLLED_BACK = "deskloop.judged", "deskloop.promotion", "deskloop.rolled_back"
ERASED = "deskloop.erased_rows"
DECISION, ANNOUNCED = "deskloop.decision", "deskloop.announced"


@dataclass(frozen=True)
class Model:
    """One registered version.

    Attributes:
        version: its number in the registry; `catalog` is its name in the catalog, `support@3`.
        aliases: `champion`, `challenger` or none; a champion is nobody's challenger.
        evaluation: the version that it was judged by, `evaluation@3`; empty if none.
        report: run id of its report.
        data: dataset -> the version it was trained or judged on, `train@3`.
        promoted_at: when it last came into use; None if it never did.
        previous: the version that it took over from, or would go back to; None if there was none.
        rolled_back: when and why it was rolled back; empty if it was not, or is the champion again.
        erased: `rows` that it was trained on and that have been erased since, `at` when, and how many by erasure;
            empty if none.
        reason: why it was last promoted; empty if it never was.
        decision: what the last run decided about it, and why; empty if no run has judged it.
        announced: sets of failed gates that a message has gone out about.
        weights, settings: digests of its weights and tokenizer, and of its settings, when it was registered.
    """

    name: str
    version: int
    folder: Path
    aliases: tuple[str, ...]
    catalog: str
    evaluation: str
    report: str
    data: dict[str, str]
    fingerprint: str
    registered_at: datetime
    promoted_at: datetime | None
    previous: int | None
    rolled_back: str
    erased: dict[str, Any]
    reason: str
    decision: str
    announced: tuple[tuple[str, ...], ...]
    weights: str
    settings: str

    @property
    def title(self) -> str:
        """Name, version and name in the catalog, for a message."""
        return f"model {self.name} {self.version} ({self.catalog})"

    def damage(self) -> str:
        """How the folder differs from what was registered, or empty; reads all of it, about a second per gigabyte."""
        if not (self.folder / "config.json").is_file():
            return f"its folder {self.folder} is missing or incomplete"
        try:
            same = weights_digest(self.folder) == self.weights and settings_digest(self.folder) == self.settings
        except OSError as error:
            return f"the files in {self.folder} cannot be read ({error.strerror})"
        return "" if same else f"the files in {self.folder} are not those that were registered"

    def check(self, purpose: str = "be put in use") -> None:
        """Refuse a model whose folder is no longer what was registered.

        Args:
            purpose: what the model cannot do then, for the message.
        Raises:
            DataError: it is missing, or its weights, tokenizer or settings are others.
        """
        if damage := self.damage():
            raise DataError(
                f"{self.title} cannot {purpose}: {damage}. Restore it from a backup, or choose another version of "
                "`deskloop models list`."
            )


@dataclass(frozen=True)
class Promotion:
    """What a version knows of the time it came into use; `before` are the champions before it, the last one first.

    All of it stands on the champion itself, so that noting a promotion that then does not happen changes nothing.
    """

    at: str
    reason: str
    before: tuple[tuple[int, str], ...]  # (version, when it had come into use)

    def as_tag(self) -> str:
        """As it is kept."""
        return orjson.dumps({"at": self.at, "reason": self.reason, "before": self.before}).decode()


def promotion(tags: Mapping[str, str]) -> Promotion | None:
    """The promotion that a version's tags tell of, whether or not it came about."""
    if PROMOTION not in tags:
        return None
    content = orjson.loads(tags[PROMOTION])
    return Promotion(content["at"], content["reason"], tuple((number, at) for number, at in content["before"]))


def settings_digest(folder: Path) -> str:
    """Digest of a model's small files, which also decide its replies (template, generation): 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted((*folder.glob("*.json"), *folder.glob("*.jinja"))):
        if path.name not in ("tokenizer.json", RECORD):
            content = path.read_bytes()
            digest.update(f"{path.name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def lineage(version: Version, data: Mapping[str, str], libraries: Mapping[str, str]) -> dict[str, str]:
    """What a model comes from, as tags of its run and of its registered version."""
    digests = {parent.name: parent.digest for parent in version.parents}
    return {
        CATALOG: version.name,
        FINGERPRINT: version.fingerprint,
        WEIGHTS: version.digest,
        **{f"{DATA}{dataset}": name for dataset, name in data.items()},
        **{f"{DIGEST}{dataset}": digests[name] for dataset, name in data.items() if name in digests},
        **{f"{LIBRARY}{name}": one for name, one in libraries.items()},
    }


def models_of(name: str, root: Path, records: Sequence[Any], aliases: Mapping[str, int]) -> list[Model]:
    """Registered versions, newest first.

    Args:
        root: the store's, where relative folders start.
        records: MLflow's ModelVersions of one name.
        aliases: alias -> version.
    """
    champion = aliases.get(CHAMPION)
    tags = {int(record.version): dict(record.tags) for record in records}
    current = promotion(tags.get(champion, {})) if champion is not None else None
    earlier = _earlier(current)
    result = []
    for record in sorted(records, key=lambda one: int(one.version), reverse=True):
        number = int(record.version)
        own = tags[number]
        mark = own.get(ROLLED_BACK, "") if number != champion else ""
        # A promotion that is noted on another version than the champion may never have come about.
        told = promotion(own) if number == champion or mark else earlier.get(number)
        judged = orjson.loads(own[JUDGED])
        result.append(
            Model(
                name=name,
                version=number,
                folder=root / own[FOLDER],
                aliases=_aliases(number, aliases),
                catalog=own[CATALOG],
                evaluation=judged["evaluation"],
                report=judged["report"],
                data={key.removeprefix(DATA): value for key, value in own.items() if key.startswith(DATA)},
                fingerprint=own[FINGERPRINT],
                registered_at=datetime.fromtimestamp(record.creation_timestamp / 1000, UTC),
                promoted_at=datetime.fromisoformat(told.at) if told else None,
                previous=told.before[0][0] if told and told.before else None,
                rolled_back=mark,
                erased=orjson.loads(own.get(ERASED, "{}")),
                reason=told.reason if told else "",
                decision=own.get(DECISION, ""),
                announced=tuple(tuple(gates) for gates in orjson.loads(own.get(ANNOUNCED, "[]"))),
                weights=own[WEIGHTS],
                settings=own[SETTINGS],
            )
        )
    return result


def _earlier(current: Promotion | None) -> dict[int, Promotion]:
    """The champions before the present one, as far as it tells; of one that was champion twice, the last time."""
    before = current.before if current else ()
    found: dict[int, Promotion] = {}
    for place, (number, at) in enumerate(before):
        found.setdefault(number, Promotion(at, "", before[place + 1 :]))
    return found


def _aliases(number: int, aliases: Mapping[str, int]) -> tuple[str, ...]:
    held = [alias for alias in (CHAMPION, CHALLENGER) if aliases.get(alias) == number]
    return tuple(held[:1])

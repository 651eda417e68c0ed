"""A registered version, read from MLflow's tags.

The lineage of a model is recorded in tags that are written together with its version, in one transaction, and never
change. Six tags may change, each in one write: its last evaluation, the last decision, its promotion, its rollback,
the number of its training rows that have been erased since, and the failed gates that have been announced.
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
    """A registered version of a model.

    Attributes:
        version: its number in the registry.
        aliases: `champion`, `challenger` or none; the champion is never the challenger as well.
        catalog: its name in the catalog, `support@3`.
        evaluation: the version of its evaluation, `evaluation@3`; empty if there is none.
        report: run id of its report.
        data: dataset -> the version it was trained or evaluated on, `train@3`.
        promoted_at: when it was last promoted; None if never.
        previous: the champion that it replaced, and to which a rollback would return; None if there was none.
        rolled_back: when and why it was rolled back; empty if it was not, or is the champion again.
        erased: `rows` of its training data that have been erased since, `at` when, and the rows per erasure; empty if
            none.
        reason: why it was last promoted; empty if it never was.
        decision: the decision of the last run about it, with its reason; empty if no run has evaluated it.
        announced: sets of failed gates that have been announced.
        weights, settings: digests of its weights and tokenizer, and of its settings, at registration.
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
        """Return how the folder differs from what was registered, or ""; reads all files (1 s per gigabyte)."""
        if not (self.folder / "config.json").is_file():
            return f"its folder {self.folder} is missing or incomplete"
        try:
            same = weights_digest(self.folder) == self.weights and settings_digest(self.folder) == self.settings
        except OSError as error:
            return f"the files in {self.folder} cannot be read ({error.strerror})"
        return "" if same else f"the files in {self.folder} differ from those that were registered"

    def check(self, purpose: str = "be promoted") -> None:
        """Refuse a model whose folder differs from what was registered.

        Args:
            purpose: completes "the model cannot ..." in the message.
        Raises:
            DataError: the folder is missing, or the weights, tokenizer or settings have changed.
        """
        if damage := self.damage():
            raise DataError(
                f"{self.title} cannot {purpose}: {damage}. Restore it from a backup, or choose another version from "
                "`deskloop models list`."
            )


@dataclass(frozen=True)
class Promotion:
    """The record of a promotion, with the champions before it, the last one first.

    It is a tag of the promoted version, so that the record of a promotion that is interrupted has no effect.
    """

    at: str
    reason: str
    before: tuple[tuple[int, str], ...]  # (version, when it was promoted)

    def as_tag(self) -> str:
        """Return the record as JSON."""
        return orjson.dumps({"at": self.at, "reason": self.reason, "before": self.before}).decode()


def promotion(tags: Mapping[str, str]) -> Promotion | None:
    """Read the promotion from a version's tags; it may have been interrupted."""
    if PROMOTION not in tags:
        return None
    content = orjson.loads(tags[PROMOTION])
    return Promotion(content["at"], content["reason"], tuple((number, at) for number, at in content["before"]))


def settings_digest(folder: Path) -> str:
    """Return the digest of a model's small files, such as its template and generation settings: 32 hexadecimal digits.

    Like the weights, they determine the model's replies.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted((*folder.glob("*.json"), *folder.glob("*.jinja"))):
        if path.name not in ("tokenizer.json", RECORD):
            content = path.read_bytes()
            digest.update(f"{path.name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def lineage(version: Version, data: Mapping[str, str], libraries: Mapping[str, str]) -> dict[str, str]:
    """Return a model's lineage as tags of its run and of its registered version."""
    digests = {parent.name: parent.digest for parent in version.parents}
    return {
        CATALOG: version.name,
        FINGERPRINT: version.fingerprint,
        WEIGHTS: version.digest,
        **{f"{DATA}{dataset}": name for dataset, name in data.items()},
        **{f"{DIGEST}{dataset}": digests[name] for dataset, name in data.items() if name in digests},
        **{f"{LIBRARY}{name}": installed for name, installed in libraries.items()},
    }


def models_of(name: str, root: Path, records: Sequence[Any], aliases: Mapping[str, int]) -> list[Model]:
    """Return registered versions, newest first.

    Args:
        root: the store's folder, to which relative folders refer.
        records: MLflow's ModelVersions of one name.
        aliases: alias -> version.
    """
    champion = aliases.get(CHAMPION)
    tags = {int(record.version): dict(record.tags) for record in records}
    current = promotion(tags.get(champion, {})) if champion is not None else None
    earlier = _earlier(current)
    result = []
    for record in sorted(records, key=lambda record: int(record.version), reverse=True):
        number = int(record.version)
        values = tags[number]
        mark = values.get(ROLLED_BACK, "") if number != champion else ""
        # A promotion that is recorded on another version than the champion may have been interrupted.
        promoted = promotion(values) if number == champion or mark else earlier.get(number)
        evaluation = orjson.loads(values[JUDGED])
        result.append(
            Model(
                name=name,
                version=number,
                folder=root / values[FOLDER],
                aliases=_aliases(number, aliases),
                catalog=values[CATALOG],
                evaluation=evaluation["evaluation"],
                report=evaluation["report"],
                data={key.removeprefix(DATA): value for key, value in values.items() if key.startswith(DATA)},
                fingerprint=values[FINGERPRINT],
                registered_at=datetime.fromtimestamp(record.creation_timestamp / 1000, UTC),
                promoted_at=datetime.fromisoformat(promoted.at) if promoted else None,
                previous=promoted.before[0][0] if promoted and promoted.before else None,
                rolled_back=mark,
                erased=orjson.loads(values.get(ERASED, "{}")),
                reason=promoted.reason if promoted else "",
                decision=values.get(DECISION, ""),
                announced=tuple(tuple(gates) for gates in orjson.loads(values.get(ANNOUNCED, "[]"))),
                weights=values[WEIGHTS],
                settings=values[SETTINGS],
            )
        )
    return result


def _earlier(current: Promotion | None) -> dict[int, Promotion]:
    """Return the recorded promotions of the previous champions; of repeated promotions, the last one."""
    before = current.before if current else ()
    promotions: dict[int, Promotion] = {}
    for position, (number, at) in enumerate(before):
        promotions.setdefault(number, Promotion(at, "", before[position + 1 :]))
    return promotions


def _aliases(number: int, aliases: Mapping[str, int]) -> tuple[str, ...]:
    names = [alias for alias in (CHAMPION, CHALLENGER) if aliases.get(alias) == number]
    return tuple(names[:1])

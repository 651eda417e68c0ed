"""The catalog: the Delta table that lists the published versions with their lineage.

All files of a version are on disk before its row is appended here, in one commit for all datasets of a step.
Readers resolve `name@version` only through this table.

Records are ordered by commit and, within a commit, by row, and not by time: if the clock is set back, an earlier
record must not replace a later one. Each record holds the number of its commit, since Delta deletes old log entries.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from deskloop.contract.errors import ConfigError
from deskloop.pipeline.problems import nearest
from deskloop.store.checksums import marked, opened
from deskloop.store.commit import committing
from deskloop.store.snapshot import has_commits, state_rows

_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("version", pa.int64()),
        ("step", pa.string()),
        ("fingerprint", pa.string()),
        ("published_at", pa.timestamp("us", tz="UTC")),
        ("record", pa.string()),  # the whole Version as JSON: counts, ids and digests only
    ]
)


@dataclass(frozen=True)
class Parent:
    """A version that another version was computed from."""

    dataset: str
    version: int
    digest: str

    @property
    def name(self) -> str:
        """`dataset@version`."""
        return f"{self.dataset}@{self.version}"


@dataclass(frozen=True)
class Version:
    """One published version: its location, its lineage and its counts.

    Attributes:
        kind: `dataset` (a Delta table), `model` (a folder), `evaluation` (figures in `details`).
        delta_version, rejects_version: Delta commits of the rows and of the rejects; -1 if there is no table.
        rows_in, rows_out, added, rejected, reasons: totals of the step, not of this run's difference.
        touched: rows that the step's function processed in the run that published this version.
        mode: `full` or `extended`.
        why: why no earlier version was reused.
        erased_at: when a person's rows were last erased from it, or when it was `gone` for another reason; else empty.
        gone: it can no longer be read, because it was not referenced at the time of an erasure, its raw rows have
            expired (`details["expired"]`), or its files were damaged (`details["damaged"]`).
    """

    dataset: str
    version: int
    kind: str
    zone: str
    step: str
    stage: str
    fingerprint: str
    recipe: str
    digest: str
    rows: int
    delta_version: int = -1
    rejects_version: int = -1
    artifact: str = ""
    parents: list[Parent] = field(default_factory=list)
    inputs: list[list[str]] = field(default_factory=list)
    rows_in: int = 0
    rows_out: int = 0
    added: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    touched: int = 0
    mode: str = "full"
    why: str = ""
    seconds: float = 0.0
    run_id: str = ""
    flow_run_id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    expectations: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    published_at: str = ""
    erased_at: str = ""
    gone: bool = False

    @property
    def name(self) -> str:
        """`dataset@version`."""
        return f"{self.dataset}@{self.version}"

    def as_parent(self) -> Parent:
        """Return this version as a parent of another."""
        return Parent(self.dataset, self.version, self.digest)


class Catalog:
    """All published versions, read once and kept up to date by `publish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions: list[Version] = []
        self.commits: dict[str, int] = {}  # a version's name -> the commit that published it
        if folder.is_dir():
            latest: dict[str, Version] = {}
            for commit, content in _in_order(folder):
                version = _build(content)
                # An erasure appends another record of a version, which replaces the first.
                latest[version.name] = version
                self.commits.setdefault(version.name, commit)
            self.versions = sorted(latest.values(), key=lambda version: version.version)

    def find(self, step: str, fingerprint: str) -> list[Version]:
        """Return the readable versions of a step's latest commit with this fingerprint; empty if there are none."""
        matching = [v for v in self.versions if (v.step, v.fingerprint, v.gone) == (step, fingerprint, False)]
        latest = max((self.commits[version.name] for version in matching), default=-1)
        return [version for version in matching if self.commits[version.name] == latest]

    def in_order(self) -> list[Version]:
        """Return all versions in the order of publication, those of one commit by name."""
        return sorted(self.versions, key=lambda version: (self.commits[version.name], version.dataset, version.version))

    def latest(self, dataset: str) -> Version | None:
        """Return the newest version of a dataset, if any was published."""
        return max(
            (v for v in self.versions if v.dataset == dataset), key=lambda version: version.version, default=None
        )

    def find_name(self, name: str) -> Version | None:
        """Return the version of this name, including one that can no longer be read."""
        return next((version for version in self.versions if version.name == name), None)

    def get(self, name: str) -> Version:
        """Resolve `dataset` (its latest version) or `dataset@version`.

        Raises:
            ConfigError: there is no such version; the message lists the available ones.
        """
        dataset, _, number = name.partition("@")
        published = sorted({version.dataset for version in self.versions})
        if dataset not in published:
            raise ConfigError(
                f"no dataset {dataset!r}{nearest(dataset, published) or '; none is published yet'}", "the request"
            )
        matching = [version for version in self.versions if version.dataset == dataset]
        if not number:
            return max(matching, key=lambda version: version.version)
        for version in matching:
            if str(version.version) == number:
                if version.gone:
                    raise ConfigError(_why_gone(version, matching), "the request")
                return version
        raise ConfigError(f"{dataset} has no version {number!r}; it has 1 to {len(matching)}", "the request")

    def publish(self, versions: Sequence[Version]) -> list[Version]:
        """Number and append versions in one commit, which makes them visible to readers."""
        now = datetime.now(UTC)
        numbered = []
        for version in versions:
            previous = self.latest(version.dataset)
            number = previous.version + 1 if previous else 1
            numbered.append(replace(version, version=number, published_at=now.isoformat()))
        self._append(numbered, now)
        self.versions.extend(numbered)
        return numbered

    def supersede(self, versions: Sequence[Version]) -> None:
        """Replace records of the same name and add new ones, in one commit."""
        self._append(versions, datetime.now(UTC))
        self.versions = list({version.name: version for version in (*self.versions, *versions)}.values())
        self.versions.sort(key=lambda version: version.version)

    def _append(self, versions: Sequence[Version], now: datetime) -> None:
        from deltalake import write_deltalake

        # The store's lock excludes other writers, so that the next commit is this one.
        commit = opened(self.folder).version() + 1 if has_commits(self.folder) else 0
        rows = {
            "dataset": [version.dataset for version in versions],
            "version": [version.version for version in versions],
            "step": [version.step for version in versions],
            "fingerprint": [version.fingerprint for version in versions],
            "published_at": [now] * len(versions),
            "record": [
                orjson.dumps(asdict(version) | {"commit": commit}, option=orjson.OPT_SERIALIZE_NUMPY).decode()
                for version in versions
            ],
        }
        with committing(self.folder):
            table = pa.table(rows, schema=_SCHEMA)
            write_deltalake(str(self.folder), table, mode="append", commit_properties=marked())
        for version in versions:
            self.commits.setdefault(version.name, commit)


def _why_gone(version: Version, versions: Sequence[Version]) -> str:
    """The message for a version of the dataset `versions` that can no longer be read."""
    available = ", ".join(str(other.version) for other in versions if not other.gone) or "none"
    if version.details.get("expired"):
        reason = "it held raw rows that became older than `raw_days`, and only the version without them is kept"
    elif version.details.get("damaged"):
        reason = (
            "its files were damaged, and the versions to rebuild it from no longer exist; restore it from a backup "
            "(`deskloop data restore`), or use another version"
        )
    else:
        reason = "an erasure keeps only current versions and those that a model was trained on"
    return f"{version.name} was deleted on {version.erased_at[:10]}: {reason}; available versions: {available}"


def _in_order(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return (commit, record) of every row, the earliest commit first, rows of one commit in their order."""
    rows = state_rows(folder, pa.schema([_SCHEMA.field("record")]))
    contents: list[dict[str, Any]] = [orjson.loads(record) for record in rows["record"].to_pylist()]
    return sorted(((content["commit"], content) for content in contents), key=lambda pair: pair[0])


def _build(content: dict[str, Any]) -> Version:
    names = {attribute.name for attribute in fields(Version)}
    values = {name: value for name, value in content.items() if name in names}
    values["parents"] = [Parent(**parent) for parent in values.get("parents", [])]
    return Version(**values)

"""The catalog: the one Delta table that says which versions are published, from what, by what.

Everything else of a version is on disk before its row is appended here, in one commit for all datasets of a step.
Readers resolve `name@version` through it, and through nothing else.

Records are ordered by commit and, within a commit, by row, never by the clock: a clock that was set back must not
bring an earlier record back. Each record carries the number of its commit, since Delta cleans up its log in time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
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
    """A version that another was made from."""

    dataset: str
    version: int
    digest: str

    @property
    def name(self) -> str:
        """`dataset@version`."""
        return f"{self.dataset}@{self.version}"


@dataclass(frozen=True)
class Version:
    """One published version: its place, its lineage and its counts.

    Attributes:
        kind: `dataset` (a Delta table), `model` (a folder), `evaluation` (figures in `details`).
        delta_version, rejects_version: Delta commits of the rows and of the rejects; -1 where there is no table.
        rows_in, rows_out, added, rejected, reasons: of the whole step, not of this run's difference.
        touched: rows that the step's function was given in the run that made this version.
        mode: `full` or `extended`.
        why: why it was not reused.
        erased_at: when a person's rows were last taken out of it, or when retention made it `gone`; empty if never.
        gone: it cannot be read any more: an erasure went over it and nothing needed it, or its raw rows have expired
            (`details["expired"]`), or its files were damaged (`details["damaged"]`).
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
        """This version as another's parent."""
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
                # An erasure appends another record of a version, which takes the place of the first.
                latest[version.name] = version
                self.commits.setdefault(version.name, commit)
            self.versions = sorted(latest.values(), key=lambda version: version.version)

    def find(self, step: str, fingerprint: str) -> list[Version]:
        """The readable versions that a step published last under this fingerprint, in one commit; empty if none."""
        found = [one for one in self.versions if (one.step, one.fingerprint, one.gone) == (step, fingerprint, False)]
        latest = max((self.commits[one.name] for one in found), default=-1)
        return [one for one in found if self.commits[one.name] == latest]

    def in_order(self) -> list[Version]:
        """All versions in the order of their publication, those of one commit by name."""
        return sorted(self.versions, key=lambda one: (self.commits[one.name], one.dataset, one.version))

    def latest(self, dataset: str) -> Version | None:
        """The newest version of a dataset, if any was published."""
        return max((one for one in self.versions if one.dataset == dataset), key=lambda one: one.version, default=None)

    def find_name(self, name: str) -> Version | None:
        """The version of this name, whether or not it can still be read."""
        return next((one for one in self.versions if one.name == name), None)

    def get(self, name: str) -> Version:
        """Resolve `dataset` (its latest version) or `dataset@version`.

        Raises:
            ConfigError: there is none; names those there are.
        """
        dataset, _, number = name.partition("@")
        known = sorted({one.dataset for one in self.versions})
        if dataset not in known:
            raise ConfigError(
                f"no dataset {dataset!r}{nearest(dataset, known) or '; none is published yet'}", "the request"
            )
        matching = [one for one in self.versions if one.dataset == dataset]
        if not number:
            return max(matching, key=lambda one: one.version)
        for one in matching:
            if str(one.version) == number:
                if one.gone:
                    raise ConfigError(_told_gone(one, matching), "the request")
                return one
        raise ConfigError(f"{dataset} has no version {number!r}; it has 1 to {len(matching)}", "the request")

    def publish(self, versions: Sequence[Version]) -> list[Version]:
        """Number and append versions in one commit; from here on readers see them."""
        now = datetime.now(UTC)
        numbered = []
        for one in versions:
            previous = self.latest(one.dataset)
            content = asdict(one) | {
                "version": previous.version + 1 if previous else 1,
                "published_at": now.isoformat(),
            }
            numbered.append(_build(content))
        self._append(numbered, now)
        self.versions.extend(numbered)
        return numbered

    def supersede(self, versions: Sequence[Version]) -> None:
        """Put records in the place of earlier ones of the same name, and add those that are new, in one commit."""
        self._append(versions, datetime.now(UTC))
        self.versions = list({one.name: one for one in (*self.versions, *versions)}.values())
        self.versions.sort(key=lambda version: version.version)

    def _append(self, versions: Sequence[Version], now: datetime) -> None:
        from deltalake import write_deltalake

        # The store's lock keeps other writers off, so that the next commit is ours.
        commit = opened(self.folder).version() + 1 if has_commits(self.folder) else 0
        rows = {
            "dataset": [one.dataset for one in versions],
            "version": [one.version for one in versions],
            "step": [one.step for one in versions],
            "fingerprint": [one.fingerprint for one in versions],
            "published_at": [now] * len(versions),
            "record": [
                orjson.dumps(_numbered(one, commit), option=orjson.OPT_SERIALIZE_NUMPY).decode() for one in versions
            ],
        }
        with committing(self.folder):
            table = pa.table(rows, schema=_SCHEMA)
            write_deltalake(str(self.folder), table, mode="append", commit_properties=marked())
        for one in versions:
            self.commits.setdefault(one.name, commit)


def _told_gone(version: Version, all_of_it: Sequence[Version]) -> str:
    left = ", ".join(str(one.version) for one in all_of_it if not one.gone) or "none"
    when = version.erased_at[:10]
    if version.details.get("expired"):
        return (
            f"{version.name} went on {when}: it held raw rows that became older than `raw_days`, and only the version "
            f"without them is kept; there are {left}"
        )
    if version.details.get("damaged"):
        return (
            f"{version.name} went on {when}: its files were damaged, and nothing is left to rebuild it from; restore "
            f"it from a backup (`deskloop data restore`), or use another version; there are {left}"
        )
    return (
        f"{version.name} went with an erasure on {when}: only versions in use and those that a model "
        f"was made from are kept without the person; there are {left}"
    )


def _numbered(version: Version, commit: int) -> dict[str, Any]:
    return asdict(version) | {"commit": commit}


def _in_order(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """(commit, content of the record) of every row, the earliest commit first, rows of one commit in their order."""
    rows = state_rows(folder, pa.schema([_SCHEMA.field("record")]))
    contents: list[dict[str, Any]] = [orjson.loads(record) for record in rows["record"].to_pylist()]
    return sorted(((content["commit"], content) for content in contents), key=lambda pair: pair[0])


def _build(content: dict[str, Any]) -> Version:
    known = {one.name for one in fields(Version)}
    values = {name: value for name, value in content.items() if name in known}
    values["parents"] = [Parent(**parent) for parent in values.get("parents", [])]
    return Version(**values)

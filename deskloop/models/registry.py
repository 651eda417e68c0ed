"""The registry: a promotion and a rollback are one write, the alias `champion`; all else hangs on the version.

What has to be known afterwards is noted first, on the version that is to come into use or to go: killed in between,
the champion is as it was, and the next attempt works.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import ConfigError, DataError, DeskloopError
from deskloop.contract.hub import weights_digest
from deskloop.models import registered as tags
from deskloop.models.ownership import check_owner, mark
from deskloop.models.registered import (
    CHALLENGER,
    CHAMPION,
    Model,
    Promotion,
    lineage,
    models_of,
    promotion,
    settings_digest,
)
from deskloop.models.tracking import is_server, log_figures, open_client, registered, start_run, talking
from deskloop.pipeline.samples import is_sample
from deskloop.store.catalog import Version

PATIENCE = 60.0  # seconds for another promotion to end
KEPT = 200  # champions before the present one that a rollback can still find


class Registry:
    """Models of one store; opened when it is first used."""

    def __init__(self, store_root: Path) -> None:
        """Choose the registry: the one that MLFLOW_TRACKING_URI names, else `mlflow.db` in the store.

        A sample always keeps its own, so that it neither reads nor changes what others decide by.

        Args:
            store_root: the store's folder.
        """
        self.root = store_root.absolute()
        self.database = self.root / "mlflow.db"
        own = f"sqlite:///{self.database}"
        self.uri = own if is_sample(self.root) else os.environ.get("MLFLOW_TRACKING_URI") or own
        self._own = self.uri == own

    @cached_property
    def _client(self) -> Any:
        self.root.mkdir(parents=True, exist_ok=True)
        return open_client(self.uri)

    def check_name(self, name: str) -> None:
        """Refuse early a model name that another store holds on the tracking server; quick without a server.

        Raises:
            ConfigError: says whose name it is not, and what to do.
        """
        if not self._own:
            self._records(name)

    def models(self, name: str) -> list[Model]:
        """All versions of a model, newest first.

        Raises:
            ConfigError: the name belongs to another store on the tracking server.
        """
        return models_of(name, self.root, *self._records(name))

    def champion(self, name: str) -> Model | None:
        """The version in use, if there is one."""
        return self._with(name, CHAMPION)

    def challenger(self, name: str) -> Model | None:
        """The version registered last, unless it came into use."""
        return self._with(name, CHALLENGER)

    def register(
        self,
        name: str,
        version: Version,
        folder: Path,
        *,
        metrics: Mapping[str, Any],
        parameters: Mapping[str, Any],
        history: Sequence[Mapping[str, float | None]],
        data: Mapping[str, str],
        evaluation: str,
        report: str,
    ) -> Model:
        """Record a published model as a run and a version, the new challenger.

        The same model again is the same version; what judged it and its report are then the new ones.

        Args:
            name: of the registered model.
            version: as the catalog published it.
            folder: where it lies; stays where it is.
            metrics, parameters, history: see `log_figures`; figures and settings only.
            data: dataset -> version, `{"train": "train@3"}`.
            evaluation: the evaluation's version, or empty.
            report: the run id of the report, or empty.
        Raises:
            DataError: the folder is not what the catalog published.
        """
        if weights_digest(folder) != version.digest:
            raise DataError(f"{version.name} cannot be registered: the weights in {folder} are not those published")
        judged = orjson.dumps({"evaluation": evaluation, "report": report}).decode()
        with self._locked(), talking(self.uri):
            found = next((one for one in self.models(name) if _same(one, version)), None)
            if found is None:
                number = self._create(name, version, folder, judged, metrics, parameters, history, data)
            else:
                number = found.version
                self._refresh(found, judged, metrics)
            if found is None or CHAMPION not in found.aliases:
                self._client.set_registered_model_alias(name, CHALLENGER, str(number))
            return self._get(name, number)

    def promote(self, name: str, version: int, reason: str) -> Model:
        """Put a version in use, at once; the champion itself stays what it is.

        Raises:
            ConfigError: there is no such version.
            DataError: its folder is missing or damaged.
        """
        with self._locked(), talking(self.uri):
            chosen = self._get(name, version)
            chosen.check()
            champion = self.champion(name)
            if champion is None or champion.version != version:
                before = self._before(champion) if champion else ()
                if champion:  # a rollback that was killed may have marked it
                    self._tag(champion, tags.ROLLED_BACK, "")
                self._take_over(chosen, Promotion(_now(), reason, before))
            self._tag(chosen, tags.ROLLED_BACK, "")
            if self._records(name)[1].get(CHALLENGER) == version:
                self._client.delete_registered_model_alias(name, CHALLENGER)
            return self._get(name, version)

    def rollback(self, name: str, reason: str = "") -> tuple[Model, Model]:
        """Put the version in use again that was before the champion; the champion is marked as rolled back.

        Returns:
            (the version that was in use, the one that is).
        Raises:
            ConfigError: there is no champion, or none before it.
            DataError: the folder of the version before is missing or damaged.
        """
        with self._locked(), talking(self.uri):
            champion = self.champion(name)
            if champion is None:
                raise ConfigError(f"model {name!r} has no champion, so there is nothing to roll back", "the request")
            versions = {one.version: one for one in self.models(name)}
            present = versions.keys() - {champion.version}
            before = [pair for pair in self._before(champion)[1:] if pair[0] in present]
            if not before:
                raise ConfigError(
                    f"model {name!r} has no version that was in use before {champion.version}; put another in use with "
                    "`deskloop models promote`",
                    "the request",
                )
            target = versions[before[0][0]]
            target.check()
            why = f"rollback of {champion.version}" + (f": {reason}" if reason else "")
            self._tag(champion, tags.ROLLED_BACK, _now() + (f" {reason}" if reason else ""))
            self._take_over(target, Promotion(_now(), why, tuple(before[1:])))
            return self._get(name, champion.version), self._get(name, target.version)

    def note_erasure(self, catalog: str, erasure: str, rows: int, at: str) -> Model | None:
        """Mark the version of a published model: so many rows that it was trained on were erased.

        Args:
            catalog: its name in the catalog, `support@3`.
            erasure: id; the same again changes nothing.
        Returns:
            The version, if the model was registered.
        """
        name = catalog.partition("@")[0]
        with self._locked(), talking(self.uri):
            found = next((one for one in self.models(name) if one.catalog == catalog), None)
            if found is None:
                return None
            counts = {**found.erased.get("erasures", {}), erasure: rows}
            mark = {"rows": sum(counts.values()), "at": at, "erasures": counts}
            self._tag(found, tags.ERASED, orjson.dumps(mark).decode())
            return self._get(name, found.version)

    def note_decision(self, model: Model, why: str) -> Model:
        """Keep what the last run decided about a model, and why."""
        if model.decision == why:
            return model
        with self._locked(), talking(self.uri):
            self._tag(model, tags.DECISION, why)
            return self._get(model.name, model.version)

    def note_announced(self, model: Model, gates: Sequence[str]) -> None:
        """Remember that a message about these failed gates of a candidate has gone out."""
        announced = sorted({*model.announced, tuple(sorted(gates))})
        with self._locked(), talking(self.uri):
            self._tag(model, tags.ANNOUNCED, orjson.dumps(announced).decode())

    def _take_over(self, chosen: Model, noted: Promotion) -> None:
        self._tag(chosen, tags.PROMOTION, noted.as_tag())
        self._client.set_registered_model_alias(chosen.name, CHAMPION, str(chosen.version))

    def _before(self, champion: Model) -> tuple[tuple[int, str], ...]:
        """The champion and those before it, the last one first."""
        records, _ = self._records(champion.name)
        noted = promotion(next(dict(one.tags) for one in records if int(one.version) == champion.version))
        own = (champion.version, noted.at if noted else champion.registered_at.isoformat())
        return (own, *(noted.before if noted else ()))[:KEPT]

    def _create(
        self,
        name: str,
        version: Version,
        folder: Path,
        judged: str,
        metrics: Mapping[str, Any],
        parameters: Mapping[str, Any],
        history: Sequence[Mapping[str, float | None]],
        data: Mapping[str, str],
    ) -> int:
        client = self._client
        known = lineage(version, data, version.libraries)
        if not client.search_registered_models(f"name = '{name}'"):
            # MLflow creates a name once: of two stores that try, one gets it and the other is refused.
            client.create_registered_model(name, tags={} if self._own else mark(self.root))
        run_id = start_run(client, name, version.name, known, tags.FINGERPRINT, self.root / "models" / name)
        log_figures(client, run_id, metrics, parameters, history)
        client.set_terminated(run_id)
        folder = folder.absolute()
        place = folder.relative_to(self.root) if folder.is_relative_to(self.root) else folder
        # A server takes no path of its clients' disks.
        source = f"runs:/{run_id}/model" if is_server(self.uri) else folder.as_uri()
        own = {tags.FOLDER: str(place), tags.SETTINGS: settings_digest(folder), tags.JUDGED: judged}
        created = client.create_model_version(name, source, run_id, tags=known | own, await_creation_for=0)
        return int(created.version)

    def _refresh(self, found: Model, judged: str, metrics: Mapping[str, Any]) -> None:
        record = self._client.get_model_version(found.name, str(found.version))
        if record.tags[tags.JUDGED] != judged:
            log_figures(self._client, record.run_id, metrics, {}, ())
            self._tag(found, tags.JUDGED, judged)

    def _records(self, name: str) -> tuple[list[Any], dict[str, int]]:
        """MLflow's versions of a model, and alias -> version."""
        if self._own and not self.database.exists():
            return [], {}
        with talking(self.uri):
            owner, records, aliases = registered(self._client, name, tags.FINGERPRINT)
        if owner is not None and not self._own:
            check_owner(name, owner, self.root, self.uri)
        return records, aliases

    def _get(self, name: str, version: int) -> Model:
        models = self.models(name)
        for one in models:
            if one.version == version:
                return one
        there = f"there are {', '.join(str(one.version) for one in reversed(models))}" if models else "there are none"
        raise ConfigError(f"model {name!r} has no version {version}; {there}", "the request")

    def _with(self, name: str, alias: str) -> Model | None:
        return next((one for one in self.models(name) if alias in one.aliases), None)

    def _tag(self, model: Model, key: str, value: str) -> None:
        self._client.set_model_version_tag(model.name, str(model.version), key, value)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One promotion or rollback at a time; the lock goes with the process, however that ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + PATIENCE
        with (self.root / ".registry.lock").open("w") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise DeskloopError(
                            f"another promotion has been working on {self.root} for {PATIENCE:.0f} s; try again when "
                            "it has ended"
                        ) from None
                    time.sleep(0.05)
            yield


def _same(model: Model, version: Version) -> bool:
    return model.fingerprint == version.fingerprint and model.weights == version.digest


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

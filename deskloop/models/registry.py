"""The registry of models: a promotion or rollback is a single write, which moves the alias `champion`.

Records of a promotion or rollback are written first, as tags of the versions concerned: if the process is killed
before the alias moves, the champion is unchanged, and the next attempt works.
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
from deskloop.models.registered import CHALLENGER, CHAMPION, Model, Promotion, lineage, models_of, promotion
from deskloop.models.tracking import is_server, log_figures, mlflow_errors, open_client, registered, start_run
from deskloop.pipeline.samples import is_sample
from deskloop.store.catalog import Version

PATIENCE = 60.0  # seconds to wait for another promotion
KEPT = 200  # number of previous champions that are recorded for rollbacks


class Registry:
    """Models of one store; the registry is opened on first use."""

    def __init__(self, store_root: Path) -> None:
        """Choose the registry: the server in MLFLOW_TRACKING_URI, or `mlflow.db` in the store.

        A sample always uses its own database, so that it cannot affect promotions elsewhere.

        Args:
            store_root: the store's folder.
        """
        self.root = store_root.absolute()
        self.database = self.root / "mlflow.db"
        embedded = f"sqlite:///{self.database}"
        self.uri = embedded if is_sample(self.root) else os.environ.get("MLFLOW_TRACKING_URI") or embedded
        self._embedded = self.uri == embedded

    @cached_property
    def _client(self) -> Any:
        self.root.mkdir(parents=True, exist_ok=True)
        return open_client(self.uri)

    def check_name(self, name: str) -> None:
        """Refuse a model name that another store has registered on the tracking server; immediate without a server.

        Raises:
            ConfigError: the name belongs to another store.
        """
        if not self._embedded:
            self._records(name)

    def models(self, name: str) -> list[Model]:
        """Return all versions of a model, newest first.

        Raises:
            ConfigError: the name belongs to another store on the tracking server.
        """
        return models_of(name, self.root, *self._records(name))

    def champion(self, name: str) -> Model | None:
        """Return the champion, if there is one."""
        return self._with(name, CHAMPION)

    def challenger(self, name: str) -> Model | None:
        """Return the version registered last, unless it was promoted."""
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
        """Register a published model as a run and a version, which becomes the challenger.

        A model that is registered already keeps its version; its evaluation and report are updated.

        Args:
            name: of the registered model.
            version: the model's version in the catalog.
            folder: the model's folder, which is not moved.
            metrics, parameters, history: see `log_figures`; figures and settings only.
            data: dataset -> version, `{"train": "train@3"}`.
            evaluation: the evaluation's version, or empty.
            report: the run id of the report, or empty.
        Raises:
            DataError: the folder differs from what the catalog published.
        """
        if weights_digest(folder) != version.digest:
            raise DataError(f"{version.name} cannot be registered: the weights in {folder} are not those published")
        judged = orjson.dumps({"evaluation": evaluation, "report": report}).decode()
        with self._locked(), mlflow_errors(self.uri):
            identity = (version.fingerprint, version.digest)
            existing = next((each for each in self.models(name) if (each.fingerprint, each.weights) == identity), None)
            if existing is None:
                number = self._create(name, version, folder, judged, metrics, parameters, history, data)
            else:
                number = existing.version
                self._refresh(existing, judged, metrics)
            if existing is None or CHAMPION not in existing.aliases:
                self._client.set_registered_model_alias(name, CHALLENGER, str(number))
            return self._get(name, number)

    def promote(self, name: str, version: int, reason: str) -> Model:
        """Make a version the champion; for the current champion, only clear the mark of an interrupted rollback.

        Raises:
            ConfigError: there is no such version.
            DataError: its folder is missing or damaged.
        """
        with self._locked(), mlflow_errors(self.uri):
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
        """Promote the previous champion again, and mark the current one as rolled back.

        Returns:
            (the version that was rolled back, the new champion).
        Raises:
            ConfigError: there is no champion, or no previous one.
            DataError: the folder of the previous champion is missing or damaged.
        """
        with self._locked(), mlflow_errors(self.uri):
            champion = self.champion(name)
            if champion is None:
                raise ConfigError(f"model {name!r} has no champion, so there is nothing to roll back", "the request")
            versions = {model.version: model for model in self.models(name)}
            present = versions.keys() - {champion.version}
            before = [pair for pair in self._before(champion)[1:] if pair[0] in present]
            if not before:
                raise ConfigError(
                    f"model {name!r} has no champion before {champion.version}; choose a version with "
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
        """Record on a registered model how many of its training rows were erased.

        Args:
            catalog: its name in the catalog, `support@3`.
            erasure: id of the erasure, which is counted once.
        Returns:
            The model, if it is registered.
        """
        name = catalog.partition("@")[0]
        with self._locked(), mlflow_errors(self.uri):
            model = next((each for each in self.models(name) if each.catalog == catalog), None)
            if model is None:
                return None
            counts = {**model.erased.get("erasures", {}), erasure: rows}
            mark = {"rows": sum(counts.values()), "at": at, "erasures": counts}
            self._tag(model, tags.ERASED, orjson.dumps(mark).decode())
            return self._get(name, model.version)

    def note_decision(self, model: Model, why: str) -> Model:
        """Record the decision of the last run about a model, and its reason."""
        if model.decision == why:
            return model
        with self._locked(), mlflow_errors(self.uri):
            self._tag(model, tags.DECISION, why)
            return self._get(model.name, model.version)

    def note_announced(self, model: Model, gates: Sequence[str]) -> None:
        """Record that these failed gates of a candidate have been announced."""
        announced = sorted({*model.announced, tuple(sorted(gates))})
        with self._locked(), mlflow_errors(self.uri):
            self._tag(model, tags.ANNOUNCED, orjson.dumps(announced).decode())

    def _take_over(self, chosen: Model, record: Promotion) -> None:
        self._tag(chosen, tags.PROMOTION, record.as_tag())
        self._client.set_registered_model_alias(chosen.name, CHAMPION, str(chosen.version))

    def _before(self, champion: Model) -> tuple[tuple[int, str], ...]:
        """Return (version, time of promotion) of the champion and its predecessors, the last one first."""
        records, _ = self._records(champion.name)
        recorded = promotion(next(dict(each.tags) for each in records if int(each.version) == champion.version))
        promoted_at = recorded.at if recorded else champion.registered_at.isoformat()
        return ((champion.version, promoted_at), *(recorded.before if recorded else ()))[:KEPT]

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
        origin = lineage(version, data, version.libraries)
        if not client.search_registered_models(f"name = '{name}'"):
            # MLflow creates a name only once: of two stores that try, one is refused.
            client.create_registered_model(name, tags={} if self._embedded else mark(self.root))
        run_id = start_run(client, name, version.name, origin, tags.FINGERPRINT, self.root / "models" / name)
        log_figures(client, run_id, metrics, parameters, history)
        client.set_terminated(run_id)
        folder = folder.absolute()
        path = folder.relative_to(self.root) if folder.is_relative_to(self.root) else folder
        # A server rejects paths on its clients' disks.
        source = f"runs:/{run_id}/model" if is_server(self.uri) else folder.as_uri()
        details = {tags.FOLDER: str(path), tags.SETTINGS: tags.settings_digest(folder), tags.JUDGED: judged}
        created = client.create_model_version(name, source, run_id, tags=origin | details, await_creation_for=0)
        return int(created.version)

    def _refresh(self, model: Model, judged: str, metrics: Mapping[str, Any]) -> None:
        record = self._client.get_model_version(model.name, str(model.version))
        if record.tags[tags.JUDGED] != judged:
            log_figures(self._client, record.run_id, metrics, {}, ())
            self._tag(model, tags.JUDGED, judged)

    def _records(self, name: str) -> tuple[list[Any], dict[str, int]]:
        """Return MLflow's versions of a model, and alias -> version."""
        if self._embedded and not self.database.exists():
            return [], {}
        with mlflow_errors(self.uri):
            owner, records, aliases = registered(self._client, name, tags.FINGERPRINT)
        if owner is not None and not self._embedded:
            check_owner(name, owner, self.root, self.uri)
        return records, aliases

    def _get(self, name: str, version: int) -> Model:
        models = self.models(name)
        for model in models:
            if model.version == version:
                return model
        available = ", ".join(str(model.version) for model in reversed(models)) or "none"
        raise ConfigError(f"model {name!r} has no version {version}; available versions: {available}", "the request")

    def _with(self, name: str, alias: str) -> Model | None:
        return next((model for model in self.models(name) if alias in model.aliases), None)

    def _tag(self, model: Model, key: str, value: str) -> None:
        self._client.set_model_version_tag(model.name, str(model.version), key, value)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one promotion or rollback at a time; the lock ends with the process, also if that is killed."""
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
                            f"another promotion has been running on {self.root} for {PATIENCE:.0f} s; try again when "
                            "it has finished"
                        ) from None
                    time.sleep(0.05)
            yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""Access to MLflow through its client only, without global state, autologging or telemetry."""

import logging
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deskloop.contract.errors import ConfigError, DeskloopError

BATCH = 500  # metrics per request; MLflow accepts 1,000 entities in total
LOGGERS = ("mlflow", "alembic", "sqlalchemy")
_CREDENTIALS = re.compile(r"//[^/\s@]*@")


def open_client(uri: str) -> Any:
    """Open a client of a database or a server; a database without tables is initialized."""
    # MLflow reads these when it is imported. Without the second, it retries for two minutes if a server is down.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    with mlflow_errors(uri):
        from mlflow import MlflowClient

        return MlflowClient(uri, registry_uri=uri)


@contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """Suppress MLflow's log lines and warnings inside this block, and convert its errors.

    Raises:
        DeskloopError: MLflow reported an error, or cannot be reached.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException

        # Importing MLflow sets its logger's level.
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        except MlflowException as error:
            message = _CREDENTIALS.sub("//", str(error.message).strip().partition("\n")[0][:200])
            raise DeskloopError(
                f"the model registry at {without_credentials(uri)} answered {error.error_code}: {message}. Check that "
                "it is running and has the installed version of MLflow, then try again; the champion is unchanged."
            ) from None
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def without_credentials(uri: str) -> str:
    """Return an address without credentials."""
    return _CREDENTIALS.sub("//", uri)


def is_server(uri: str) -> bool:
    """Return whether the registry is a tracking server."""
    return urlsplit(uri).scheme in ("http", "https")


def start_run(client: Any, experiment: str, title: str, tags: Mapping[str, str], same: str, location: Path) -> str:
    """Create a run and return its id; incomplete runs of earlier attempts are deleted.

    Args:
        experiment: created if it does not exist.
        same: the tag that identifies attempts to register the same model.
        location: MLflow's folder for artifacts, which stays empty, since the model is not moved from its own.
    """
    existing = client.get_experiment_by_name(experiment)
    if existing is not None and existing.lifecycle_stage == "deleted":
        raise ConfigError(
            f"experiment {experiment!r} was deleted; restore it with `mlflow experiments restore`", "MLflow"
        )
    artifacts = {} if is_server(client.tracking_uri) else {"artifact_location": location.as_uri()}
    identity = client.create_experiment(experiment, **artifacts) if existing is None else existing.experiment_id
    for incomplete in client.search_runs([identity], f"tags.`{same}` = '{tags[same]}'"):
        client.delete_run(incomplete.info.run_id)
    run_id: str = client.create_run(identity, run_name=title, tags=dict(tags)).info.run_id
    return run_id


def registered(client: Any, name: str, ours: str) -> tuple[dict[str, str] | None, list[Any], dict[str, int]]:
    """Return a registered model's tags (None if it does not exist), its versions with the tag `ours`, and its aliases.

    Aliases are a mapping of alias -> version.
    """
    names = client.search_registered_models(f"name = '{name}'")
    records: list[Any] = []
    token = None
    while names:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        records += page
        if not (token := page.token):
            break
    aliases = {alias: int(number) for model in names for alias, number in model.aliases.items()}
    return dict(names[0].tags) if names else None, [record for record in records if ours in record.tags], aliases


def log_figures(
    client: Any,
    run_id: str,
    metrics: Mapping[str, Any],
    parameters: Mapping[str, Any],
    history: Sequence[Mapping[str, float | None]],
) -> None:
    """Log the figures and settings of a run.

    Args:
        metrics: numbers, optionally nested by model (`candidate/bits_per_byte`); None if not measured.
        parameters: settings, optionally nested (`finetune.epochs`).
        history: the training curve; each entry has `step`, and its other values become `training/<name>` at that step.
    Raises:
        TypeError: a metric is not a number.
    """
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    entries = [Metric(name, _number(name, value), now, 0) for name, value in flat(metrics, "/") if value is not None]
    for entry in history:
        entries += [
            Metric(f"training/{name}", _number(name, value), now, int(entry["step"] or 0))
            for name, value in entry.items()
            if name != "step" and value is not None
        ]
    settings = [Param(name, str(value)) for name, value in flat(parameters, ".")]
    for start in range(0, len(settings), 100):
        client.log_batch(run_id, params=settings[start : start + 100])
    for start in range(0, len(entries), BATCH):
        client.log_batch(run_id, metrics=entries[start : start + BATCH])


def flat(content: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of every leaf of a nested mapping."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}{separator}{path}", leaf) for path, leaf in flat(value, separator))
        else:
            yield name, value


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"metric {name} is a {type(value).__name__}, not a number")

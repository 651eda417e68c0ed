"""MLflow, used through its client alone: nothing global is set, nothing logged by itself, nothing sent anywhere."""

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

BATCH = 500  # metrics in one request; MLflow takes 1,000 of everything
LOGGERS = ("mlflow", "alembic", "sqlalchemy")
_CREDENTIALS = re.compile(r"//[^/\s@]*@")


def open_client(uri: str) -> Any:
    """A client of a database or a server; makes the database's tables where there are none."""
    # Read when MLflow is imported. Without the second, a server that is down is asked for two minutes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    with talking(uri):
        from mlflow import MlflowClient

        return MlflowClient(uri, registry_uri=uri)


@contextmanager
def talking(uri: str) -> Iterator[None]:
    """No log lines or warnings of MLflow inside; its errors become ours.

    Raises:
        DeskloopError: MLflow refused, or cannot be reached.
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
            told = _CREDENTIALS.sub("//", str(error.message).strip().partition("\n")[0][:200])
            raise DeskloopError(
                f"the model registry at {shown(uri)} answered {error.error_code}: {told}. Check that it is there and "
                "of this MLflow's version, then try again; the champion is as it was."
            ) from None
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def shown(uri: str) -> str:
    """An address without the password that may be in it."""
    return _CREDENTIALS.sub("//", uri)


def is_server(uri: str) -> bool:
    """Whether another process keeps the registry."""
    return urlsplit(uri).scheme in ("http", "https")


def start_run(client: Any, experiment: str, title: str, tags: Mapping[str, str], same: str, location: Path) -> str:
    """A new run's id; what an earlier attempt left half is set aside.

    Args:
        experiment: made if it is not there.
        same: the tag that tells attempts at the same model.
        location: where MLflow is to put artifacts, of which there are none: the model stays in its folder.
    """
    found = client.get_experiment_by_name(experiment)
    if found is not None and found.lifecycle_stage == "deleted":
        raise ConfigError(
            f"experiment {experiment!r} was deleted; restore it with `mlflow experiments restore`", "MLflow"
        )
    artifacts = {} if is_server(client.tracking_uri) else {"artifact_location": location.as_uri()}
    identity = client.create_experiment(experiment, **artifacts) if found is None else found.experiment_id
    for left in client.search_runs([identity], f"tags.`{same}` = '{tags[same]}'"):
        client.delete_run(left.info.run_id)
    run_id: str = client.create_run(identity, run_name=title, tags=dict(tags)).info.run_id
    return run_id


def registered(client: Any, name: str, ours: str) -> tuple[dict[str, str] | None, list[Any], dict[str, int]]:
    """A registered model's tags (None: there is no such name), its versions with the tag `ours`, alias -> version."""
    names = client.search_registered_models(f"name = '{name}'")
    records: list[Any] = []
    token = None
    while names:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        records += page
        if not (token := page.token):
            break
    aliases = {alias: int(number) for one in names for alias, number in one.aliases.items()}
    return dict(names[0].tags) if names else None, [one for one in records if ours in one.tags], aliases


def log_figures(
    client: Any,
    run_id: str,
    metrics: Mapping[str, Any],
    parameters: Mapping[str, Any],
    history: Sequence[Mapping[str, float | None]],
) -> None:
    """Figures and settings of a run.

    Args:
        metrics: numbers, perhaps nested by model: `candidate/bits_per_byte`; null where not measured.
        parameters: settings, perhaps nested: `finetune.epochs`.
        history: the training curve; each entry has `step`, the rest becomes `training/<name>` at that step.
    Raises:
        TypeError: a metric is no number.
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
    """(path, value) of everything in a nested mapping."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}{separator}{path}", one) for path, one in flat(value, separator))
        else:
            yield name, value


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"metric {name} is a {type(value).__name__}, not a number")

"""Check that the packages beside `deskloop` are its own: a `tasks.py` of yours that is found first shadows them."""

import importlib.util
from pathlib import Path

from deskloop.contract.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cli", "deployments", "expectations", "flows", "tasks")


def check_packages() -> None:
    """Refuse to run with packages that are not deskloop's.

    Raises:
        ConfigError: with the place of each, and what to do.
    """
    problems = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        place = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if place != ROOT / name / "__init__.py":
            problems.append(_problem(name, place))
    if problems:
        raise ConfigError(problems, "the Python path")


def check_folder(folder: Path) -> None:
    """Refuse a folder to work in whose modules would shadow deskloop's packages; arguments as of `check_packages`."""
    places = [(name, folder / place) for name in PACKAGES for place in (f"{name}/__init__.py", f"{name}.py")]
    problems = [
        _problem(name, place) for name, place in places if place.exists() and place.resolve().parents[1] != ROOT
    ]
    if problems:
        raise ConfigError(problems, "the folder that deployed runs work in")


def _problem(name: str, place: Path | None) -> str:
    if place is None:
        return f"deskloop's package `{name}` is missing; install deskloop again"
    folder = place.parent.parent if place.name == "__init__.py" else place.parent
    return (
        f"{place} shadows deskloop's own `{name}` in {ROOT}: rename it, run deskloop from another folder, or take "
        f"{folder} out of PYTHONPATH"
    )

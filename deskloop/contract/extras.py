"""Optional dependencies: which extra brings which package, and the error where one is missing."""

import importlib.util

from deskloop.contract.errors import ConfigError

EXTRAS = {"train": ("torch", "accelerate"), "s3": ("s3fs",)}  # extra -> its import packages


def require_extra(extra: str, where: str) -> None:
    """Check that an extra's packages are installed; imports none of them.

    Args:
        where: the step or option that needs them.
    Raises:
        ConfigError: with the command that installs them.
    """
    for package in EXTRAS[extra]:
        if importlib.util.find_spec(package) is None:
            raise ConfigError(_message(package, extra), where)


def missing_extra(error: BaseException) -> str | None:
    """Return what to install for a failed import; None if the error has another cause."""
    for link in (error, error.__cause__):
        package = (link.name or "").partition(".")[0] if isinstance(link, ImportError) else ""
        for extra, packages in EXTRAS.items():
            if package in packages:
                return _message(package, extra)
    return None


def _message(package: str, extra: str) -> str:
    return f"{package} is not installed. Install it with: pip install 'deskloop[{extra}]'"

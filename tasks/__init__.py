"""One file (or folder) per stage, named by its verb: the pure function, its config, and its `STAGE`.

`stages()` finds all of them: every module here that ends in a `STAGE`, and those that other distributions register
under the entry point group `deskloop.stages`. A new stage is one new file, plus its expectation suite.
"""

import functools
import importlib
import pkgutil
from importlib.metadata import entry_points

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import Stage

ENTRY_POINTS = "deskloop.stages"
ORDER = (
    "ingest", "scrub", "normalize", "dedupe", "annotate", "select", "augment", "balance", "split", "encode",
    "base", "finetune", "evaluate", "promote",
)  # fmt: skip


@functools.cache
def stages() -> dict[str, Stage]:
    """Return every available stage by name, in the design's order.

    Raises:
        ConfigError: a stage of another package cannot be loaded, has a name that is taken, or is no `Stage`.
    """
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    own = [module.STAGE for module in modules if hasattr(module, "STAGE")]
    ordered = sorted(own, key=lambda stage: ORDER.index(stage.name) if stage.name in ORDER else len(ORDER))
    found = {stage.name: stage for stage in ordered}
    where = f"entry point group {ENTRY_POINTS}"
    for point in entry_points(group=ENTRY_POINTS):
        try:
            stage = point.load()
        except Exception as error:
            raise ConfigError(f"{point.value} cannot be loaded: {type(error).__name__}: {error}", where) from None
        if not isinstance(stage, Stage) or stage.name in found:
            raise ConfigError(f"{point.value} is no new stage", where)
        found[stage.name] = stage
    return found

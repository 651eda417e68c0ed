"""The stages, one module or package each, named by its verb: a pure function, its config, and its `STAGE`.

`stages()` collects every module here with a `STAGE`, and the stages that other distributions register under the entry
point group `deskloop.stages`. A new stage is one new file plus its expectation suite.
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
    """Return all available stages by name, in the usual order.

    Raises:
        ConfigError: a stage of another package cannot be loaded, is not a `Stage`, or has a name that already exists.
    """
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    built_in = [module.STAGE for module in modules if hasattr(module, "STAGE")]
    built_in.sort(key=lambda stage: ORDER.index(stage.name) if stage.name in ORDER else len(ORDER))
    by_name = {stage.name: stage for stage in built_in}
    where = f"entry point group {ENTRY_POINTS}"
    for point in entry_points(group=ENTRY_POINTS):
        try:
            stage = point.load()
        except Exception as error:
            raise ConfigError(f"{point.value} cannot be loaded: {type(error).__name__}: {error}", where) from None
        if not isinstance(stage, Stage) or stage.name in by_name:
            raise ConfigError(f"{point.value} is not a stage, or another stage has its name", where)
        by_name[stage.name] = stage
    return by_name

"""The stages, one module or package each, named by its verb: a pure function, its config, and its `STAGE`.

`stages()` collects every module here with a `STAGE`, and the stages that other packages register under the entry point
group `deskloop.stages`. A new stage is one new file plus its expectations.
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
        ConfigError: another package registers a stage whose name already exists, or an object that is not a `Stage`.
    """
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    built_in = [module.STAGE for module in modules if hasattr(module, "STAGE")]
    built_in.sort(key=lambda stage: ORDER.index(stage.name) if stage.name in ORDER else len(ORDER))
    by_name = {stage.name: stage for stage in built_in}
    for point in entry_points(group=ENTRY_POINTS):
        stage = point.load()
        if not isinstance(stage, Stage) or stage.name in by_name:
            problem = f"{point.value} is not a stage, or another stage has its name"
            raise ConfigError(problem, f"entry point group {ENTRY_POINTS}")
        by_name[stage.name] = stage
    return by_name

"""The recipe of a step: everything except its input that determines its output.

It covers config, seed, key id, equipment, the versions of the declared libraries, the stage's declarations about its
output, and the code that its functions compute with (deskloop.engine.code).
"""

import importlib.metadata
from collections.abc import Mapping

from deskloop.contract.stage import DataStage, ModelStage, Stage, StageConfig, TableStage
from deskloop.engine.code import code_digest
from deskloop.store.digest import text_digest


def recipe_of(
    step: str, stage: Stage, config: StageConfig, seed: int, key_id: str, equipment: Mapping[str, str | None]
) -> str:
    """Return the recipe's digest, 32 hexadecimal digits.

    Args:
        equipment: versions of the stage's external tools and models; see `Stage.equipment`.
    """
    pinned = isinstance(stage, ModelStage) and stage.pinned
    return text_digest(
        step,
        stage.name,
        config.model_dump(mode="json"),
        seed,
        key_id if stage.keyed else "",
        dict(equipment),
        "pinned" if pinned else library_versions(stage.libraries),
        "pinned" if pinned else _declared(stage),
        "pinned" if pinned else code_digest((*stage.functions, type(config))),
    )


def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed version of each distribution, without those of extras that are not installed."""
    installed = {name: next(iter(importlib.metadata.distributions(name=name)), None) for name in names}
    return {name: distribution.version for name, distribution in installed.items() if distribution is not None}


def _declared(stage: Stage) -> list[object]:
    """Return a stage's declarations about the rows that it reads and writes."""
    if not isinstance(stage, DataStage):
        return []
    columns = list(stage.columns) if isinstance(stage, TableStage) else []
    return [str(stage.schema), sorted(stage.provides), list(stage.zone), stage.by_split, stage.suffix, columns]

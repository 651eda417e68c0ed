"""The recipe of a step: everything except its input that determines its output.

It covers config, seed, key id, equipment, the versions of the declared libraries, the stage's declarations about its
output, and the code that its functions compute with (deskloop.engine.code).
"""

import importlib.metadata
from collections.abc import Mapping

from deskloop.contract.stage import Context, DataStage, ModelStage, Stage, StageConfig, TableStage
from deskloop.engine.code import code_digest
from deskloop.store.digest import text_digest


def recipe_of(
    context: Context, stage: Stage, config: StageConfig, key_id: str, equipment: Mapping[str, str | None]
) -> str:
    """Return the recipe's digest, 32 hexadecimal digits.

    Args:
        context: of the step; its name, seed and configs are part of the recipe.
        equipment: versions of the stage's external tools and models; see `Stage.equipment`.
    """
    others = {name: [config.model_dump(mode="json") for config in configs] for name, configs in context.configs.items()}
    pinned = isinstance(stage, ModelStage) and stage.pinned
    return text_digest(
        context.step,
        stage.name,
        [config.model_dump(mode="json"), others] if others else config.model_dump(mode="json"),
        context.seed,
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

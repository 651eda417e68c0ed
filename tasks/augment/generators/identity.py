"""What a generator's outputs are known by: everything that decides them besides text and seed."""

from collections.abc import Mapping

import orjson

from tasks.augment.generators.config import RewriterConfig


def identity_of(config: RewriterConfig, versions: Mapping[str, str]) -> str:
    """Settings and versions as one line of JSON; its name and for whom it works decide nothing.

    Args:
        versions: of the equipment and libraries that the output depends on.
    """
    settings = config.model_dump(mode="json", exclude={"name", "languages"})
    return orjson.dumps({"settings": settings, "versions": dict(versions)}, option=orjson.OPT_SORT_KEYS).decode()

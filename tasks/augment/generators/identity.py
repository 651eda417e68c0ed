"""The identity of a generator: everything that determines its outputs besides text and seed."""

from collections.abc import Mapping

import orjson

from tasks.augment.generators.config import RewriterConfig


def identity_of(config: RewriterConfig, versions: Mapping[str, str]) -> str:
    """Return settings and versions as one line of JSON, without name and languages.

    Args:
        versions: of the equipment and libraries that the output depends on.
    """
    settings = config.model_dump(mode="json", exclude={"name", "languages"})
    return orjson.dumps({"settings": settings, "versions": dict(versions)}, option=orjson.OPT_SORT_KEYS).decode()

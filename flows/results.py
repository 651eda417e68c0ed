"""A serializer that keeps results out of Prefect's storage.

`persist_result=False` holds for values that a flow returns, not for the exception that ends it: Prefect pickles that
into a file in its storage folder, readable by everyone. Datasets and errors are in the store, so nothing needs it.
"""

from typing import Any, Literal

from prefect.serializers import Serializer


class Withheld(Serializer):
    """Serializes everything to nothing."""

    type: Literal["deskloop.withheld"] = "deskloop.withheld"

    def dumps(self, obj: Any) -> bytes:
        """No bytes, whatever the object."""
        return b""

    def loads(self, blob: bytes) -> None:
        """No object."""

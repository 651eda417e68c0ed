"""Which models there are, which one is in use, and the way back (P12).

MLflow keeps the record: in `<store>/mlflow.db`, or on a tracking server. See docs/models.md.
"""

from deskloop.models.registered import CHALLENGER, CHAMPION, Model
from deskloop.models.registry import Registry

__all__ = ["CHALLENGER", "CHAMPION", "Model", "Registry"]

"""The model registry: registered versions, the champion, promotion and rollback (P12).

The registry is MLflow's, in `<store>/mlflow.db` or on a tracking server. See docs/models.md.
"""

from deskloop.models.registered import CHALLENGER, CHAMPION, Model
from deskloop.models.registry import Registry

__all__ = ["CHALLENGER", "CHAMPION", "Model", "Registry"]

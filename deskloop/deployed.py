"""The flows as Prefect's deployments start them: `deskloop.deployed.retrain`, not `flows.retrain.retrain`.

Prefect puts the folder that a run works in before all others on the Python path. A `flows` package there would be
imported in place of ours, and the run would end with a missing attribute; this module names the folder instead.
"""

from deskloop.run.packages import check_packages

check_packages()

from flows.prepare import prepare  # noqa: E402
from flows.retrain import retrain  # noqa: E402

__all__ = ["prepare", "retrain"]

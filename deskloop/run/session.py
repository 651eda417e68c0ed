"""A run: a pipeline, its locked store, and the outcome of its steps so far.

The open run stays in this process and is handed from function to function, so that no object that could hold a
conversation reaches Prefect, which gets names of versions only.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deskloop.contract.errors import ConfigError
from deskloop.contract.progress import show
from deskloop.contract.stage import FittedStage, SourceStage
from deskloop.engine.crash import hush
from deskloop.engine.engine import Engine
from deskloop.engine.firewall import guarded
from deskloop.engine.partitions import Executor, Inline, ProcessPool
from deskloop.engine.workspace import Announce, Made, Progress
from deskloop.pipeline.pipeline import Pipeline, Step
from deskloop.store.store import Store

REASONS = 3  # of rejects that a step's line names
ACTIONS = {"reuse": "reused", "extend": "extended", "compute": "computed"}


@dataclass
class Run:
    """An open run.

    Attributes:
        entries: step -> its outcome.
        failed: the step under way; empty between steps.
    """

    id: str
    pipeline: Pipeline
    engine: Engine
    say: Callable[[str], None]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    entries: dict[str, Made] = field(default_factory=dict)
    failed: str = ""

    @property
    def store(self) -> Store:
        """The store of this run."""
        return self.engine.store

    def record(self, name: str, made: Made) -> Made:
        """Record and log the outcome of a step, after those that were rebuilt because it found them damaged."""
        self.note_rebuilt()
        self._note(name, made)
        return made

    def note_rebuilt(self) -> None:
        """Record the steps that were rebuilt since the last call because another step found them damaged."""
        while self.engine.rebuilt:
            self._note(*self.engine.rebuilt.popitem())

    def _note(self, name: str, made: Made) -> None:
        self.entries[name] = made
        self.say(_line(name, made))
        for missing in [tool for tool, version in made.decision.equipment.items() if version is None]:
            self.say(f"  {name:<12} {missing} is not installed, so the step ran without it; see the report")


@contextmanager
def open_run(
    pipeline: Pipeline,
    say: Callable[[str], None],
    refit: Sequence[str] = (),
    rebuild: bool = False,
    announce: Announce | None = None,
    progress: Progress = show,
) -> Iterator[Run]:
    """Lock the store and open a run on it.

    Args:
        refit: steps whose artifact is fitted again.
        rebuild: recompute every step after the sources from raw and the ledger, and reuse no version.
        announce: sends the message that a candidate was not promoted.
        progress: shows how far the step under way is.
    Raises:
        ConfigError: another run is working on the store, or a step to refit has nothing to fit.
    """
    hush()
    check_refit(pipeline, refit)
    store = Store(pipeline.store)
    again = [step.name for step in pipeline.data_steps if not isinstance(step.stage, SourceStage)] if rebuild else []
    executor: Executor = ProcessPool(pipeline.settings.workers) if pipeline.settings.workers > 1 else Inline()
    with store.locked():
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        engine = Engine(pipeline, store, executor, run_id, refit, again, announce, progress)
        try:
            yield Run(run_id, pipeline, engine, say)
        except BaseException as error:
            executor.close(at_once=not isinstance(error, Exception))
            raise
        finally:
            executor.close()


def run_step(run: Run, step: Step) -> Made:
    """Bring one step up to date; returns its current versions and the decision behind them."""
    with guarded_step(run, step.name):
        made = run.engine.run(step)
    return run.record(step.name, made)


@contextmanager
def guarded_step(run: Run, name: str) -> Iterator[None]:
    """Record which step is under way, and let no foreign exception out: its message may quote a conversation.

    Raises:
        StepError: in place of any exception that is not ours.
    """
    run.failed = name
    with guarded(name, store=run.store.root):
        yield
    run.failed = ""


def check_refit(pipeline: Pipeline, refit: Sequence[str]) -> None:
    """Refuse to refit a step that has nothing to fit.

    Raises:
        ConfigError: names the steps that do.
    """
    fitting = [step for step in pipeline.steps if isinstance(step.stage, FittedStage)]
    fitted = [step.name for step in fitting if not step.inputs.get("artifact")]
    wrong = [name for name in refit if name not in fitted]
    if wrong:
        names = ", ".join(fitted)
        raise ConfigError([f"--refit {name}: has nothing to fit; {names} do" for name in wrong], "the command")


def _line(name: str, made: Made) -> str:
    first = made.versions[0]
    rows: Any = ""
    if first.kind == "dataset":
        rows = f"{first.rows_in:>9,} in {first.rows_out:>9,} out {first.rejected:>7,} rejected"
    action = f"extended by {first.touched:,}" if made.extended else ACTIONS[made.decision.action]
    time = "" if made.reused else f"  {first.seconds:.1f} s"
    why = first.details["why"] if first.kind == "promotion" else f"({made.decision.why})"
    return f"  {name:<12} {rows:<42} {action}{time}  {why}{_reasons(first.reasons)}"


def _reasons(reasons: Mapping[str, int]) -> str:
    """The commonest reasons why rows were rejected, with their counts."""
    if not reasons:
        return ""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{reason} {count:,}" for reason, count in ordered[:REASONS]]
    rest = sum(count for _, count in ordered[REASONS:])
    return f"  rejected: {', '.join([*shown, *([f'other reasons {rest:,}'] if rest else [])])}"

"""A run: a pipeline, its store held under a lock, and what the steps have come to so far.

Prefect's tasks get a run id and step names; the open run behind the id stays in this process, so that no object that
could hold a conversation is ever handed to Prefect.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deskloop.contract.errors import ConfigError
from deskloop.engine.crash import hush
from deskloop.engine.decide import Decision
from deskloop.engine.engine import Engine
from deskloop.engine.firewall import guarded
from deskloop.engine.partitions import Executor, Inline, ProcessPool
from deskloop.pipeline.load import Pipeline, Step
from deskloop.store.catalog import Version
from deskloop.store.store import Store

REASONS = 3  # of rejects that a step's line names


@dataclass
class Entry:
    """What a step came to in this run."""

    versions: list[Version]
    decision: Decision

    @property
    def reused(self) -> bool:
        """Published before this run, and still right."""
        return self.decision.action == "reuse"

    @property
    def extended(self) -> bool:
        """Only the difference was worked on."""
        return self.decision.action == "extend"


@dataclass
class Run:
    """An open run.

    Attributes:
        entries: step -> what it came to.
        judged: what became of the candidate, once it was judged: `decision`, and the registry's `model` and `champion`.
        failed: the step under way; empty between steps.
    """

    id: str
    pipeline: Pipeline
    engine: Engine
    say: Callable[[str], None]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    entries: dict[str, Entry] = field(default_factory=dict)
    judged: dict[str, Any] = field(default_factory=dict)
    failed: str = ""

    @property
    def store(self) -> Store:
        """The store of this run."""
        return self.engine.store

    def record(self, name: str, versions: list[Version], decision: Decision) -> list[str]:
        """Note what a step came to, tell the user, and return references that may pass between tasks."""
        self.entries[name] = Entry(versions, decision)
        self.say(_line(name, self.entries[name]))
        for missing in [tool for tool, found in decision.equipment.items() if found is None]:
            self.say(f"  {name:<12} {missing} is not installed: it went on without, see the report")
        return [version.name for version in versions]

    def note_rebuilt(self) -> None:
        """Record the steps that were rebuilt since the last call, as another step came across their damage."""
        while self.engine.rebuilt:
            name, (versions, decision) = self.engine.rebuilt.popitem()
            self.record(name, versions, decision)

    def versions(self, names: Sequence[str]) -> list[Version]:
        """Resolve references."""
        return [self.engine.catalog.get(name) for name in names]


_open: dict[str, Run] = {}


def current(run_id: str) -> Run:
    """The open run behind an id."""
    return _open[run_id]


@contextmanager
def open_run(
    pipeline: Pipeline,
    say: Callable[[str], None],
    refit: Sequence[str] = (),
    rebuild: bool = False,
) -> Iterator[Run]:
    """Lock the store and open a run on it.

    Args:
        refit: steps whose artifact is to be fitted anew.
        rebuild: compute every step after the source from raw and the ledger, whatever is published.
    Raises:
        ConfigError: another run is working on the store, or a step to refit learns nothing.
    """
    hush()
    check_refit(pipeline, refit)
    store = Store(pipeline.store)
    steps = [step.name for step in pipeline.steps if step.stage.source is None]
    again = steps if rebuild else []
    executor: Executor = ProcessPool(pipeline.settings.workers) if pipeline.settings.workers > 1 else Inline()
    with store.locked():
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        run = Run(run_id, pipeline, Engine(pipeline, store, executor, run_id, refit, again), say)
        _open[run_id] = run
        try:
            yield run
        except BaseException as error:
            executor.close(at_once=not isinstance(error, Exception))
            raise
        finally:
            del _open[run_id]
            executor.close()


def run_step(run: Run, step: Step, parents: Sequence[str]) -> list[str]:
    """Bring one step up to date; returns references to what it stands for now."""
    with guarded_step(run, step.name):
        versions, decision = run.engine.run(step, run.versions(parents))
    return run.record(step.name, versions, decision)


@contextmanager
def guarded_step(run: Run, name: str) -> Iterator[None]:
    """Note which step is under way, and let no foreign exception out: its message may quote a conversation.

    Raises:
        StepError: in place of any exception that is not ours.
    """
    run.failed = name
    with guarded(name, store=run.store.root):
        yield
    run.failed = ""


def check_refit(pipeline: Pipeline, refit: Sequence[str]) -> None:
    """Refuse to refit a step that learns nothing.

    Raises:
        ConfigError: names the steps that do.
    """
    fitted = [step.name for step in pipeline.steps if step.stage.fit is not None]
    wrong = [name for name in refit if name not in fitted]
    if wrong:
        raise ConfigError([f"--refit {name}: learns nothing; {', '.join(fitted)} do" for name in wrong], "the command")


def _line(name: str, entry: Entry) -> str:
    first = entry.versions[0]
    rows: Any = ""
    if first.kind == "dataset":
        rows = f"{first.rows_in:>9,} in {first.rows_out:>9,} out {first.rejected:>7,} rejected"
    did = {"reuse": "reused", "extend": f"extended by {first.touched:,}", "compute": "computed"}[entry.decision.action]
    time = "" if entry.reused else f"  {first.seconds:.1f} s"
    return f"  {name:<12} {rows:<42} {did}{time}  ({entry.decision.why}){_reasons(first.reasons)}"


def _reasons(reasons: Mapping[str, int]) -> str:
    """The commonest reasons why rows were rejected, with their counts."""
    if not reasons:
        return ""
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    shown = [f"{reason} {count:,}" for reason, count in ordered[:REASONS]]
    rest = sum(count for _, count in ordered[REASONS:])
    return f"  rejected: {', '.join([*shown, *([f'other reasons {rest:,}'] if rest else [])])}"

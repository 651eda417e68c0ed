"""Kill commands at random moments and check that they resume, and that no process is left after five seconds.

    python -m benchmarks.kills                 40 times SIGKILL, 10 SIGTERM, 10 SIGHUP, over all scenarios
    python -m benchmarks.kills --kills 6 --signals 2 --only run --only erase

A scenario is a command and the state that it starts from. Only the main process is killed, not its process group. A
kill ends well if no process is left after 5 s, every published version still matches its digest, and running the
command again (unless it had finished) gives the result of an undisturbed command: the same digests of all datasets and
models, and the same aliases.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.data import data_command
from tests.deskloop.erase.test_erase import whom
from tests.flows.desk import Desk, example_lines
from tests.flows.test_killed import MODEL, published
from tests.processes import Command, deskloop

COUNT, MORE = 120, 40  # records of the first and the second day
SECONDS = 900.0  # time limit of a command that is not killed


@dataclass(frozen=True)
class Scenario:
    """A command to disturb.

    Attributes:
        state: name of the initial folder in `Yard.states`.
        arguments: arguments of `deskloop`.
        weight: relative share of the kills.
        atomic: whether the command takes effect completely or not at all, and must not be repeated if it did.
        then: arguments of a command that must succeed afterwards.
    """

    name: str
    state: str
    arguments: Sequence[object]
    weight: int
    atomic: bool = False
    then: Sequence[object] = ()


@dataclass
class Tally:
    """The results of the kills."""

    count: int = 0
    good: int = 0
    left: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


class Yard:
    """A desk in a fixed folder, so that paths in its store stay valid, which is reset to prepared states."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.desk = folder, folder / "desk"
        self.home = folder / "prefect"
        self.states = {name: folder / "states" / name for name in ("one day", "two days")}

    def prepare(self) -> None:
        """Create the states: with one day processed and the next one pending, and with both days and two models."""
        desk = Desk(self.desk, example_lines(COUNT), workers=2)
        desk.extra = MODEL
        desk.save()
        self.call("run", "-c", desk.file)
        desk.write(example_lines(MORE, COUNT), "day-2.jsonl")
        shutil.copytree(self.desk, self.states["one day"])
        self.call("run", "-c", desk.file)
        for version in ("1", "2"):  # manually, because the gates reject models on so few conversations
            self.call("models", "promote", version, "-c", desk.file)
        shutil.copytree(self.desk, self.states["two days"])

    def enter(self, state: str) -> None:
        """Reset the desk to a state."""
        shutil.rmtree(self.desk, ignore_errors=True)
        shutil.copytree(self.states[state], self.desk)

    def start(self, *arguments: object) -> Command:
        """Start `deskloop ARGUMENTS` in a new session."""
        environment = {"PREFECT_HOME": str(self.home), "DESKLOOP_BACKUP_PASSPHRASE": "correct horse battery staple"}
        return Command(deskloop(*arguments), self.folder / "output", environment)

    def call(self, *arguments: object) -> str:
        """Run a command to its end; return its output."""
        command = self.start(*arguments)
        if command.process.wait(SECONDS) != 0:
            raise RuntimeError(f"deskloop {' '.join(map(str, arguments))}: {command.output}")
        return command.output

    def outcome(self) -> dict[str, Any]:
        """Return the digests of the latest versions, after verifying every version, and the registry's aliases."""
        listed = self.call("models", "list", "--json", "-c", self.desk / "pipeline.yaml")
        rows = json.loads(listed.splitlines()[-1])
        return {"digests": published(self.desk), "models": [[row["version"], row["aliases"]] for row in rows]}


def scenarios(yard: Yard) -> list[Scenario]:
    """Return the scenarios, without commands that this version does not have."""
    file = ("-c", yard.desk / "pipeline.yaml")
    customer, _ = whom(example_lines(COUNT))
    everything = [
        Scenario("run", "one day", ("run", *file), 4),
        Scenario("promote", "two days", ("models", "promote", "1", *file), 1),
        Scenario("rollback", "two days", ("models", "rollback", *file), 1, atomic=True),
        Scenario("erase", "two days", ("data", "erase", "--customer", customer, "-y", *file), 2),
    ]
    backup = yard.folder / "desk.backup"
    if "backup" in data_command.commands:
        write = ("data", "backup", backup, "--with", "all", "--overwrite", *file)
        everything.append(
            Scenario("backup", "two days", write, 1, then=("data", "restore", backup, "--dry-run", *file))
        )
        read = ("data", "restore", backup, "--replace", "-y", *file)  # over the store of the day before
        everything.append(Scenario("restore", "one day", read, 1))
    return everything


def disturb(yard: Yard, scenario: Scenario, number: signal.Signals, after: float, calm: dict[str, Any]) -> Tally:
    """Start a command, signal it once, check for remaining processes, and run it again."""
    yard.enter(scenario.state)
    before = yard.outcome() if scenario.atomic else None
    command = yard.start(*scenario.arguments)
    time.sleep(after)
    tally, problems = Tally(1), []
    if command.process.poll() is None:
        code, tally.slowest = command.end(number)
        expected = (-number,) if number == signal.SIGKILL else (128 + number, -number, 0)
        problems += [f"exit code {code}"] if code not in expected else []
    processes = command.left()
    tally.left = len(processes)
    problems += [f"left: {line}" for line in processes]
    try:
        if not scenario.atomic or yard.outcome() == before:
            yard.call(*scenario.arguments)
        if scenario.then:
            yard.call(*scenario.then)
        if (now := yard.outcome()) != calm:
            problems.append(f"different outcome: {_difference(calm, now)}")
    except (RuntimeError, AssertionError) as error:
        problems.append(f"it did not resume: {error}")
    tally.good = not problems
    tally.failures = [f"{scenario.name}, {number.name} after {after:.1f} s: {problem}" for problem in problems]
    return tally


def _difference(calm: dict[str, Any], now: dict[str, Any]) -> str:
    digests = [name for name in calm["digests"] if calm["digests"][name] != now["digests"].get(name)]
    return f"{', '.join(digests) or 'same digests'}; models {now['models']} instead of {calm['models']}"


def storm(yard: Yard, chosen: Sequence[Scenario], counts: dict[signal.Signals, int], say: Callable[[str], None]) -> Any:
    """Send each signal `counts` times, distributed over the scenarios by weight; return the figures."""
    moments, calm, longest = random.Random(9), {}, {}
    for scenario in chosen:
        yard.enter(scenario.state)
        begin = time.monotonic()
        yard.call(*scenario.arguments)
        longest[scenario.name] = time.monotonic() - begin
        calm[scenario.name] = yard.outcome()
        say(f"{scenario.name}: {longest[scenario.name]:.1f} s undisturbed")
    deck = [scenario for scenario in chosen for _ in range(scenario.weight)]
    figures: dict[str, Any] = {}
    for number, count in counts.items():
        total = Tally()
        for place in range(count):
            scenario = deck[place % len(deck)]
            after = moments.uniform(0.02, 1.0) * longest[scenario.name]
            result = disturb(yard, scenario, number, after, calm[scenario.name])
            total.count, total.good, total.left = total.count + 1, total.good + result.good, total.left + result.left
            total.slowest = max(total.slowest, result.slowest)
            total.failures += result.failures
            say(f"{number.name} {place + 1}: {scenario.name} after {after:.1f} s: {result.failures or 'good'}")
        figures[number.name] = {
            "count": total.count, "good_ends": total.good, "left_after_5_s": total.left,
            "slowest_end_s": round(total.slowest, 2), "failures": total.failures,
        }  # fmt: skip
    return figures


def main() -> None:
    """Parse the arguments, run the storm, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="number of SIGKILLs")
    parser.add_argument("--signals", type=int, default=10, help="number of SIGTERMs and of SIGHUPs")
    parser.add_argument("--only", action="append", help="names of scenarios; default: all")
    options = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, the commands would inherit that it is ignored
    counts = {signal.SIGKILL: options.kills, signal.SIGTERM: options.signals, signal.SIGHUP: options.signals}
    with tempfile.TemporaryDirectory() as folder:
        yard = Yard(Path(folder))
        yard.prepare()
        chosen = [scenario for scenario in scenarios(yard) if not options.only or scenario.name in options.only]
        figures = storm(yard, chosen, counts, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps({"scenarios": [scenario.name for scenario in chosen], **figures}))


if __name__ == "__main__":
    main()

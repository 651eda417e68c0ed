"""`deskloop chat`: a conversation with a model in the terminal. What is written stays in memory, and goes with it."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from cli.models import Desk, open_desk
from cli.options import sample_option
from deskloop.contract.errors import ConfigError, DataError, DeskloopError
from deskloop.contract.progress import tick
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    from deskloop.models import Model
    from tasks.evaluate.generation import Speaker
    from tasks.scrub.config import ScrubConfig

HELP = "/reset starts anew, /system TEXT tells the model how to behave, /exit (or Ctrl-D) ends"


@click.command("chat")
@click.option(
    "-c", "--config", "file", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
@sample_option
@click.option(
    "--model",
    "which",
    default="champion",
    show_default=True,
    metavar="VERSION",
    help="champion, candidate, base, or a version such as 3 or support@3.",
)
@click.option("--temperature", type=click.FloatRange(0, 5), help="Default: that of the file's evaluate section.")
@click.option("--max-new-tokens", type=click.IntRange(1, 4096), help="Default: that of the file's evaluate section.")
@click.option("--greedy", is_flag=True, help="Always the likeliest token: the same words get the same reply.")
@click.option("--raw", is_flag=True, help="Give the model what you write as it is, not scrubbed.")
def chat_command(
    file: str,
    sample: int | None,
    which: str,
    temperature: float | None,
    max_new_tokens: int | None,
    greedy: bool,
    raw: bool,
) -> None:
    """Talk to the model in use, with history.

    What you write is scrubbed as the training data was, since the model knows placeholders only; it is not kept
    anywhere. Lines from a pipe are one turn each, and only the replies are printed.

    \b
    /reset         start a new conversation
    /system TEXT   tell the model how to behave
    /exit          end, as Ctrl-D does
    """  # fmt: skip
    if greedy and temperature:
        raise ConfigError("--greedy is --temperature 0; give one of them", "the command")
    desk = open_desk(file, sample)
    run = f"deskloop run -c {shlex.quote(file)}" + (f" --sample {sample}" if sample else "")
    folder, told = _chosen(desk, which, run)
    wanted = {"temperature": 0.0 if greedy else temperature, "max_new_tokens": max_new_tokens}
    given = {name: value for name, value in wanted.items() if value is not None}

    from deskloop.store.store import Store
    from tasks.evaluate.config import EvaluateConfig
    from tasks.evaluate.generation import load_speaker
    from tasks.scrub.config import ScrubConfig

    configs = [cast(EvaluateConfig, one) for one in desk.pipeline.configs_of("evaluate")]
    config = (configs or [EvaluateConfig()])[0].model_copy(update=given)
    scrubs = [cast(ScrubConfig, one) for one in desk.pipeline.configs_of("scrub")]
    scrub = None if raw else [*scrubs, ScrubConfig()][0]
    key = Store(desk.pipeline.store).key()[1] if scrub is not None and scrub.replace else b""
    talk = Talk(load_speaker(folder, config), scrub, desk.pipeline.settings.seed, key)
    treated = "goes to it as it is" if raw else "is scrubbed the same way"
    echo(
        f"{told}. It writes names, addresses and numbers as placeholders such as <PERSON_1>; what you write {treated}, "
        "and is not kept.",
        err=True,
    )
    if sys.stdin.isatty() and sys.stdout.isatty():
        _by_hand(talk)
    else:
        _piped(talk)


class Talk:
    """One conversation, as it was written: scrubbing looks at all of it, so that a person keeps one placeholder.

    Attributes:
        system: how the model is to behave; empty for nothing.
        turns: `{"role", "text"}`, the customer's and the model's.
        unseen: turns at the beginning that the model no longer saw when it last answered.
    """

    def __init__(self, speaker: "Speaker", scrub: "ScrubConfig | None", seed: int, key: bytes = b"") -> None:
        self.system = ""
        self.turns: list[dict[str, str]] = []
        self.unseen = 0
        self._speaker, self._scrub, self._seed, self._key = speaker, scrub, seed, key
        self._replies = 0

    def reply(self, text: str, show: Callable[[str], None] | None = None) -> str:
        """The model's answer to the customer's next turn; a turn that gets none is forgotten.

        Args:
            show: called with each piece of the answer as it comes.
        """
        from tasks.evaluate.generation import answer

        self.turns.append({"role": "customer", "text": text})
        try:
            ids = self._prompt()
            reply = answer(self._speaker, ids, self._seed * 1_000_003 + self._replies, show)
        except BaseException:
            self.turns.pop()
            raise
        self._replies += 1
        self.turns.append({"role": "agent", "text": reply})
        return reply

    def reset(self) -> None:
        """Begin anew; `system` stays."""
        self.turns.clear()

    def _prompt(self) -> list[int]:
        """Tokens of the conversation; the oldest turns go, whole, until what is left fits the model's context."""
        from tasks.evaluate.generation import prompt_ids

        system = [{"role": "system", "text": self.system}] if self.system else []
        written = self._scrubbed([*system, *self.turns])
        head, rest = written[: len(system)], written[len(system) :]
        room, total = self._speaker.room, len(rest)
        while True:
            ids = prompt_ids(self._speaker, [*head, *rest])
            # Templates want a customer's turn first, so the reply to one that goes does too.
            following = next((place for place, turn in enumerate(rest[1:], 1) if turn["role"] == "customer"), None)
            if room is None or len(ids) <= room or following is None:
                self.unseen = total - len(rest)
                return ids
            rest = rest[following:]

    def _scrubbed(self, turns: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
        if self._scrub is None:
            return list(turns)
        from deskloop.contract.placeholders import renumber
        from tasks.scrub.placeholders import Conversation, replace_values

        conversation = Conversation([turn["text"] for turn in turns], roles=[turn["role"] for turn in turns])
        replace_values([conversation], self._scrub, self._key)
        written = [{**turn, "text": text.text} for turn, text in zip(turns, conversation.texts, strict=True)]
        return list(renumber(written))


def _chosen(desk: Desk, which: str, run: str) -> tuple[Path, str]:
    """Folder of the model that is meant, and what it is in words.

    Args:
        run: the command that makes one.
    Raises:
        ConfigError: there is none.
        DataError: its files are missing, or not those that were registered.
    """
    if which == "base":
        return _base(desk, run)
    if which in ("champion", "candidate"):
        model = desk.registry.champion(desk.name)
        if which == "candidate":
            model = desk.registry.challenger(desk.name) or model
        if model is None:
            raise ConfigError(f"no model is in use yet; train one with: {run}", "the command")
    else:
        model = desk.find(which)
    tick("  reading the model")
    model.check("answer")
    tick("")
    return model.folder, _described(desk, model)


def _base(desk: Desk, run: str) -> tuple[Path, str]:
    """The base that the champion was fine-tuned from, or the latest."""
    from deskloop.contract.hub import weights_digest

    champion = desk.registry.champion(desk.name)
    parents = desk.catalog.get(champion.catalog).parents if champion else []
    own = [desk.catalog.get(one.name) for one in parents if one.dataset == "base"]
    version = own[0] if own else desk.catalog.latest("base")
    if version is None:
        raise ConfigError(f"no base model is made yet; make one with: {run}", "the command")
    folder = desk.folder(version)
    if not (folder / "config.json").is_file() or weights_digest(folder) != version.digest:
        raise DataError(
            f"{version.name} cannot answer: the files in {folder} are missing or not those that were published. "
            "Restore them from a backup."
        )
    return folder, f"{version.name}, the model before fine-tuning"


def _described(desk: Desk, model: "Model") -> str:
    state = " and ".join(model.aliases) or "not in use"
    figure = desk.bits_per_byte(model)
    judged = "" if figure is None else f", {figure:.3f} bits per byte on its test split"
    return f"{model.name} {model.version} ({model.catalog}): {state}{judged}"


def _by_hand(talk: Talk) -> None:
    import readline  # noqa: F401  lets `input` edit lines; its history stays in memory

    echo(HELP, err=True)
    for line in _typed():
        if not _obeyed(talk, line):
            echo("agent: ", nl=False)
            try:
                talk.reply(line, lambda piece: echo(piece, nl=False))
            except KeyboardInterrupt:
                echo(" [stopped]", nl=False)
            except DeskloopError as error:
                echo(f"[{error}]", nl=False, err=True)
            echo()
            _say_unseen(talk)


def _typed() -> Iterator[str]:
    while True:
        try:
            line = input("you:   ").strip()
        except (EOFError, KeyboardInterrupt):
            echo()
            return
        if line == "/exit":
            return
        if line:
            yield line


def _piped(talk: Talk) -> None:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    for line in map(str.strip, sys.stdin):
        if line == "/exit":
            return
        if line and not _obeyed(talk, line):
            echo(talk.reply(line))
            _say_unseen(talk)


def _obeyed(talk: Talk, line: str) -> bool:
    """Whether the line was a command."""
    command, _, rest = line.partition(" ")
    if command == "/reset":
        talk.reset()
    elif command == "/system":
        talk.system = rest.strip()
    elif command.startswith("/"):
        echo(f"no command {command}; {HELP}", err=True)
    else:
        return False
    return True


def _say_unseen(talk: Talk) -> None:
    if talk.unseen:
        echo(f"(the model no longer sees the first {talk.unseen} turns: its context is full)", err=True)

"""`deskloop chat`: a conversation with a model in the terminal, kept in memory only."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from cli.desk import Desk, opened
from cli.models import bits_per_byte, find
from cli.options import config_option, sample_option
from deskloop.contract.errors import ConfigError, DataError, DeskloopError
from deskloop.contract.progress import tick
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    from deskloop.models import Model
    from tasks.evaluate.generation import TextGenerator
    from tasks.scrub.config import ScrubConfig

HELP = "/reset starts a new conversation, /system TEXT sets the system prompt, /exit (or Ctrl-D) ends"


@click.command("chat")
@config_option
@sample_option
@click.option("--model", "which", default="champion", show_default=True, metavar="VERSION",
              help="champion, candidate, base, or a version such as 3 or support@3.")  # fmt: skip
@click.option("--temperature", type=click.FloatRange(0, 5), help="Default: that of the file's evaluate section.")
@click.option("--max-new-tokens", type=click.IntRange(1, 4096), help="Default: that of the file's evaluate section.")
@click.option("--greedy", is_flag=True, help="Always choose the likeliest token: the same input gets the same reply.")
@click.option("--raw", is_flag=True, help="Do not scrub what you write.")
def chat_command(
    pipeline: str, sample: int | None, which: str, temperature: float | None, max_new_tokens: int | None, greedy: bool,
    raw: bool,
) -> None:  # fmt: skip
    """Talk to the champion, with history.

    Your messages are scrubbed like the training data, as the model knows placeholders only, and are not stored. Each
    line from a pipe is one turn; only the replies are printed.

    \b
    /reset         start a new conversation
    /system TEXT   set the system prompt
    /exit          end, like Ctrl-D
    """
    if greedy and temperature:
        raise ConfigError("--greedy is --temperature 0; give one of them", "the command")
    desk = opened(pipeline, sample)
    run = f"deskloop run -c {shlex.quote(pipeline)}" + (f" --sample {sample}" if sample else "")
    folder, description = _chosen(desk, which, run)
    options = {"temperature": 0.0 if greedy else temperature, "max_new_tokens": max_new_tokens}

    from tasks.evaluate.config import EvaluateConfig
    from tasks.evaluate.generation import load_text_generator
    from tasks.scrub.config import ScrubConfig

    declared = cast(EvaluateConfig, next(iter(desk.pipeline.configs_of("evaluate")), EvaluateConfig()))
    config = declared.model_copy(update={name: value for name, value in options.items() if value is not None})
    scrub = None if raw else cast(ScrubConfig, next(iter(desk.pipeline.configs_of("scrub")), ScrubConfig()))
    key = desk.store.key()[1] if scrub is not None and scrub.replace else b""
    talk = Talk(load_text_generator(folder, config), scrub, desk.pipeline.settings.seed, key)
    treatment = "not scrubbed" if raw else "scrubbed the same way"
    echo(
        f"{description}. It writes names, addresses and numbers as placeholders such as <PERSON_1>; your messages are "
        f"{treatment}, and not stored.",
        err=True,
    )
    if sys.stdin.isatty() and sys.stdout.isatty():
        _interactive(talk)
    else:
        _piped(talk)


class Talk:
    """One conversation, unscrubbed: all of it is scrubbed for each reply, so that a person keeps one placeholder.

    Attributes:
        system: the system prompt; "": none.
        turns: `{"role", "text"}`, the customer's and the model's.
        unseen: turns at the beginning that did not fit the context of the last reply.
    """

    def __init__(self, generator: "TextGenerator", scrub: "ScrubConfig | None", seed: int, key: bytes = b"") -> None:
        self.system = ""
        self.turns: list[dict[str, str]] = []
        self.unseen = 0
        self._generator, self._scrub, self._seed, self._key = generator, scrub, seed, key
        self._replies = 0

    def reply(self, text: str, show: Callable[[str], None] | None = None) -> str:
        """Answer the customer's next turn; a turn without an answer is removed.

        Args:
            show: called with each piece of the answer as it is generated.
        """
        from tasks.evaluate.generation import answer

        self.turns.append({"role": "customer", "text": text})
        try:
            ids = self._prompt()
            reply = answer(self._generator, ids, self._seed * 1_000_003 + self._replies, show)
        except BaseException:
            self.turns.pop()
            raise
        self._replies += 1
        self.turns.append({"role": "agent", "text": reply})
        return reply

    def reset(self) -> None:
        """Start a new conversation; `system` stays."""
        self.turns.clear()

    def _prompt(self) -> list[int]:
        """Return the tokens of the conversation, without the oldest turns that do not fit the model's context."""
        from tasks.evaluate.generation import prompt_ids

        system = [{"role": "system", "text": self.system}] if self.system else []
        scrubbed = self._scrubbed([*system, *self.turns])
        head, rest = scrubbed[: len(system)], scrubbed[len(system) :]
        room, total = self._generator.room, len(rest)
        while True:
            ids = prompt_ids(self._generator, [*head, *rest])
            # Templates expect a customer's turn first, so a turn is removed with its reply.
            following = next((index for index, turn in enumerate(rest[1:], 1) if turn["role"] == "customer"), None)
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
        replaced = [{**turn, "text": text.text} for turn, text in zip(turns, conversation.texts, strict=True)]
        return list(renumber(replaced))


def _chosen(desk: Desk, which: str, run: str) -> tuple[Path, str]:
    """Return the folder of the chosen model, and a description of it.

    Args:
        run: the command that trains one.
    Raises:
        ConfigError: there is no such model.
        DataError: its files are missing, or not those that were registered.
    """
    if which == "base":
        return _base(desk, run)
    if which in ("champion", "candidate"):
        model = desk.registry.champion(desk.name)
        if which == "candidate":
            model = desk.registry.challenger(desk.name) or model
        if model is None:
            raise ConfigError(f"no model is promoted yet; train one with: {run}", "the command")
    else:
        model = find(desk, which)
    tick("  reading the model")
    model.check("answer")
    tick("")
    return model.folder, _described(desk, model)


def _base(desk: Desk, run: str) -> tuple[Path, str]:
    """Return the base that the champion was fine-tuned from, or the latest one."""
    from deskloop.contract.hub import weights_digest
    from deskloop.models.folder import folder_of

    champion = desk.registry.champion(desk.name)
    parents = desk.catalog.get(champion.catalog).parents if champion else []
    bases = [desk.catalog.get(parent.name) for parent in parents if parent.dataset == "base"]
    version = bases[0] if bases else desk.catalog.latest("base")
    if version is None:
        raise ConfigError(f"there is no base model yet; make one with: {run}", "the command")
    folder = folder_of(desk.store.root, version)
    if not (folder / "config.json").is_file() or weights_digest(folder) != version.digest:
        raise DataError(
            f"{version.name} cannot answer: the files in {folder} are missing or not those that were published. "
            "Restore them from a backup."
        )
    return folder, f"{version.name}, the model before fine-tuning"


def _described(desk: Desk, model: "Model") -> str:
    state = " and ".join(model.aliases) or "not promoted"
    figure = bits_per_byte(desk, model)
    score = "" if figure is None else f", {figure:.3f} bits per byte on its test split"
    return f"{model.name} {model.version} ({model.catalog}): {state}{score}"


def _interactive(talk: Talk) -> None:
    import readline  # noqa: F401  enables line editing in `input`; the history stays in memory

    echo(HELP, err=True)
    for line in _typed():
        if not _execute(talk, line):
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
        if line and not _execute(talk, line):
            echo(talk.reply(line))
            _say_unseen(talk)


def _execute(talk: Talk, line: str) -> bool:
    """Execute a command; returns False for a line that is none."""
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

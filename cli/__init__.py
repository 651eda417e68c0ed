"""The command line. A command's module is imported when the command runs, so that `deskloop --help` is fast."""

import contextlib
import importlib
import io
import os
import select
import signal
import sys
from typing import Any

import click

from cli.groups import Suggesting
from deskloop import __version__
from deskloop.contract.errors import DeskloopError
from deskloop.contract.terminal import visible_lines
from deskloop.engine.crash import hush
from deskloop.run.interrupt import MESSAGE, Interrupted, complain, ended_by, exit_code

# command -> (module, one line of help); the help is here so that listing the commands imports none of them.
COMMANDS = {
    "init": ("cli.start", "Inspect a log and write a commented pipeline file."),
    "run": ("cli.run", "Prepare, fine-tune, evaluate, promote, report."),
    "prepare": ("cli.run", "Run the data steps only, with their quality report."),
    "plan": ("cli.run", "Show what a run would reuse, extend or compute, and why."),
    "scrub": ("cli.start", "Scrub JSON Lines, streaming: stdin or a file to stdout."),
    "data": ("cli.data", "Versions: log, show, diff, trace; erase, backup, gc, keys."),
    "models": ("cli.models", "The registry: list, promote, rollback."),
    "chat": ("cli.chat", "Talk to the champion in the terminal."),
    "report": ("cli.start", "Print the path of the latest report."),
    "deploy": ("cli.deploy", "Register the nightly run and its notifications on a Prefect server."),
    "schema": ("cli.start", "Print the JSON Schema of the pipeline file, for editors."),
}


class _Lazy(Suggesting):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), f"{cmd_name}_command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # here, since click would exit with 1
            if not _reader_is_gone():
                raise
            # Python would complain again on closing stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="deskloop")
@click.option("--debug", is_flag=True, help="Show tracebacks. They may quote conversations.")
def cli(debug: bool) -> None:
    """From support logs full of personal data to a better support model.

    Exit codes: 0 done, 1 the run failed, 2 the input or the configuration was refused.
    """
    if debug:
        os.environ["DESKLOOP_DEBUG"] = "1"


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; every error becomes a line on stderr and an exit code."""
    hush()
    with ended_by(signal.SIGTERM, signal.SIGHUP):
        _run(arguments)


def _run(arguments: list[str] | None) -> None:
    try:
        code = cli.main(arguments, prog_name="deskloop", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except DeskloopError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        print(visible_lines(shown.getvalue()), end="", file=sys.stderr)
        sys.exit(2)
    except click.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # click replaces every Ctrl-C
            _leave(error.__cause__)
        stopped = error.__context__  # at a question: Ctrl-C, the end of the input, or "no"
        _fail("not confirmed; nothing was changed", exit_code(stopped) if isinstance(stopped, KeyboardInterrupt) else 1)
    except KeyboardInterrupt as error:
        _leave(error)
    except Exception as error:
        if os.environ.get("DESKLOOP_DEBUG"):
            raise
        from deskloop.engine.firewall import explain, withheld

        _fail(explain(error) or withheld(error), 1)


def _reader_is_gone() -> bool:
    """Check that stdout has no reader any more (`| head`), rather than some other pipe."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _leave(error: KeyboardInterrupt) -> None:
    """End an interrupted command; after a signal at once, since finalizing the interpreter takes seconds."""
    complain(MESSAGE)
    if isinstance(error, Interrupted):
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(exit_code(error))
    sys.exit(exit_code(error))


def _fail(message: str, code: int) -> None:
    complain(message)
    sys.exit(code)

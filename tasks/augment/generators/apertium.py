"""Back-translation by Apertium, a rule-based translator (https://doi.org/10.1007/s10590-011-9090-0): no model, no GPU.

One process per direction translates a batch, line by line; the lines are separated by NUL bytes, which reset
Apertium's state. Protected spans and names are passed as superblanks, `[0]`, which its stream format leaves unchanged.
So are, in the second direction, the words that were unknown in the first.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from tasks.augment.generators.config import BackTranslationConfig
from tasks.augment.generators.lines import Item, by_line
from tasks.augment.generators.spans import pieces
from tasks.augment.generators.tidy import tidy

SPECIAL = re.compile(r"([][{}^$/\\@<>*#~+\x00-\x08\x0b-\x1f]+)")  # the stream format's, and Apertium's marks
MARKED = re.compile(r"\[\d+\]|\\.|([*@#])((?:\\.|[^\s\[\]\\.,;:!?\"()*@#])*)", re.DOTALL)
STREAM = re.compile(r"\[(\d+)\]|\\(.)", re.DOTALL)
LONE_I = re.compile(r"(?<![\w'’.])i(?![\w.])")
END = "[end]\n"  # sent last, to check that everything before it was returned
SECONDS, SECONDS_A_LINE = 60.0, 0.05  # time-out of a batch


class ApertiumTranslation:
    """Translation into another language and back."""

    keyed, neural = False, False

    def __init__(self, config: BackTranslationConfig, versions: Mapping[str, str]) -> None:
        """Keep the config; each call starts its processes and ends them."""
        self._config = config
        self.identity = config.identity(versions)
        first, second = config.pair.split("-")
        self._modes = (f"{first}-{second}", f"{second}-{first}")

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Return translations line by line; None if nothing changed, a protected span was lost, or Apertium failed.

        Args:
            texts: n texts.
            seeds: n; not used.
        """
        return by_line(texts, [0] * len(texts), self._config.protect, self._there_and_back)

    def _there_and_back(self, items: Sequence[Item]) -> list[str | None]:
        blanks: list[list[str]] = [[] for _ in items]  # of each line: the texts of its superblanks [0], [1], ...
        sent = [self._stream(line, of_line) for (line, _), of_line in zip(items, blanks, strict=True)]
        out = [
            None if line is None else _keep_unknown(line, of_line)
            for line, of_line in zip(translate(sent, self._modes[0], marks=True), blanks, strict=True)
        ]
        there = [line for line in out if line is not None]
        back = iter(translate(there, self._modes[1], marks=False))
        results: list[str | None] = []
        for (line, _), of_line, translated in zip(items, blanks, out, strict=True):
            came = None if translated is None else next(back)
            results.append(None if came is None else tidy(line, _plain(came, of_line), self._config.protect))
        return results

    def _stream(self, line: str, blanks: list[str]) -> str:
        """Return a line in Apertium's stream format; without its line break, a last full stop would be lost."""
        parts = []
        for piece, whole in pieces(self._proper(line), self._config.protect, names=True):
            parts.append(_superblank(piece, blanks) if whole else _harmless(piece, blanks))
        return "".join(parts) + "\n"

    def _proper(self, line: str) -> str:
        """Capitalize the English pronoun `i`, which Apertium takes for a letter."""
        return LONE_I.sub("I", line) if self._modes[0].startswith("eng") else line


def _superblank(text: str, blanks: list[str]) -> str:
    """Return the superblank of a text; it holds a number, as Apertium hangs at a `^` inside a superblank."""
    blanks.append(text)
    return f"[{len(blanks) - 1}]"


def _harmless(text: str, blanks: list[str]) -> str:
    """Replace special characters by superblanks: even escaped, some of them end or block the pipeline."""
    parts = SPECIAL.split(text)
    return "".join(_superblank(part, blanks) if place % 2 else part for place, part in enumerate(parts))


def _keep_unknown(line: str, blanks: list[str]) -> str:
    """Prepare a marked line for the second direction: unknown words become superblanks, other marks are removed."""

    def replaced(match: re.Match[str]) -> str:
        mark, word = match.groups()
        if mark is None:
            return match[0]
        return _superblank(_plain(word, blanks), blanks) if mark in "*@" and word else word

    return MARKED.sub(replaced, line)


def _plain(line: str, blanks: Sequence[str]) -> str:
    """Convert a line in stream format to plain text."""
    return STREAM.sub(lambda match: match[2] or blanks[int(match[1])], line).rstrip("\n")


def translate(lines: Sequence[str], mode: str, marks: bool) -> list[str | None]:
    """Translate lines in stream format in one process.

    Args:
        lines: n lines, without NUL bytes.
        mode: such as `eng-spa`.
        marks: leave Apertium's marks at words that it does not know.
    Returns:
        n lines in stream format; None for one that Apertium fails on: a failed batch is retried in halves.
    """
    if not lines:
        return []
    answers = _answers([*lines, END], ["apertium", "-f", "none", "-z", *([] if marks else ["-u"]), mode])
    # At its end the pipeline adds NUL bytes of its own, so that the count alone is not sufficient.
    if answers[len(lines) : len(lines) + 1] == [END] and not any(answers[len(lines) + 1 :]):
        return list(answers[: len(lines)])
    if len(lines) == 1:
        return [None]
    middle = len(lines) // 2
    return translate(lines[:middle], mode, marks) + translate(lines[middle:], mode, marks)


def _answers(lines: Sequence[str], command: Sequence[str]) -> list[str]:
    """Run a command on lines separated by NUL bytes; returns nothing if it fails or takes too long."""
    sent = "".join(f"{line}\0" for line in lines).encode()
    # A process group of its own, since ending Apertium's shell script does not end the programs that it started.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            written, _ = process.communicate(sent, timeout=SECONDS + SECONDS_A_LINE * len(lines))
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return []
            raise
    return written.decode(errors="replace").split("\0") if process.returncode == 0 else []


def version(pair: str) -> str | None:
    """Apertium's version and a digest of the data of both directions; None where one of them is not installed."""
    program = shutil.which("apertium")
    if program is None:
        return None
    first, second = pair.split("-")
    data = os.environ.get("APERTIUM_DATADIR") or str(Path(program).resolve().parent.parent / "share" / "apertium")
    modes = [Path(data, "modes", f"{mode}.mode") for mode in (f"{first}-{second}", f"{second}-{first}")]
    if not all(mode.is_file() for mode in modes):
        return None
    return _version(program, tuple((str(mode), mode.stat().st_mtime_ns) for mode in modes))


@lru_cache(maxsize=16)
def _version(program: str, modes: tuple[tuple[str, int], ...]) -> str:
    output = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    digest = hashlib.blake2b(digest_size=8)
    for mode, _ in modes:
        # A mode names its files by their absolute paths, in quotes.
        for name in re.findall(r"'(/[^']+)'", Path(mode).read_text(encoding="utf-8")):
            with open(name, "rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return f"{output.strip()}, data {digest.hexdigest()}"

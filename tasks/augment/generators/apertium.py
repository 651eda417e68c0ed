"""Back-translation by Apertium, a rule-based translator (https://doi.org/10.1007/s10590-011-9090-0): no model, no GPU.

A batch goes through one process per direction, line by line, separated by NUL bytes, at which Apertium forgets
what it has read. Protected spans travel as superblanks, `[0]`, which its stream format passes on untouched; so do
names, and on the way back the words that the way out did not know: what is no English need not be Spanish.
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
END = "[end]\n"  # goes last, to see that everything before it came out
SECONDS, SECONDS_A_LINE = 60.0, 0.05  # before a batch is given up


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
        blanks: list[list[str]] = [[] for _ in items]  # of each line: what its superblanks [0], [1], ... stand for
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
        """A line in Apertium's stream format; it ends in a line break, without which a last full stop is lost."""
        parts = []
        for piece, whole in pieces(self._proper(line), self._config.protect, names=True):
            parts.append(_superblank(piece, blanks) if whole else _harmless(piece, blanks))
        return "".join(parts) + "\n"

    def _proper(self, line: str) -> str:
        """The line with English `i` written as it should be: alone, it is a letter and no word."""
        return LONE_I.sub("I", line) if self._modes[0].startswith("eng") else line


def _superblank(text: str, blanks: list[str]) -> str:
    """A superblank that stands for a text: its number, since Apertium waits for ever at a `^` inside one."""
    blanks.append(text)
    return f"[{len(blanks) - 1}]"


def _harmless(text: str, blanks: list[str]) -> str:
    """A text whose special characters became superblanks: escaped, some still end or stop the pipeline."""
    parts = SPECIAL.split(text)
    return "".join(_superblank(part, blanks) if place % 2 else part for place, part in enumerate(parts))


def _keep_unknown(line: str, blanks: list[str]) -> str:
    """A line with marks as input for the way back: what was unknown becomes a superblank, other marks go."""

    def replaced(match: re.Match[str]) -> str:
        mark, word = match.groups()
        if mark is None:
            return match[0]
        return _superblank(_plain(word, blanks), blanks) if mark in "*@" and word else word

    return MARKED.sub(replaced, line)


def _plain(line: str, blanks: Sequence[str]) -> str:
    """A line in stream format as plain text."""
    return STREAM.sub(lambda match: match[2] or blanks[int(match[1])], line).rstrip("\n")


def translate(lines: Sequence[str], mode: str, marks: bool) -> list[str | None]:
    """Lines in stream format translated by one process.

    Args:
        lines: n lines, without NUL bytes.
        mode: such as `eng-spa`.
        marks: leave Apertium's marks at words that it does not know.
    Returns:
        n lines in stream format; None for one that Apertium fails on: a batch that fails is tried again in halves.
    """
    if not lines:
        return []
    answers = _answers([*lines, END], ["apertium", "-f", "none", "-z", *([] if marks else ["-u"]), mode])
    # At its end the pipeline adds NUL bytes of its own, so that the count alone proves nothing.
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
        # A mode names the files that it works with by their whole paths, in quotes.
        for name in re.findall(r"'(/[^']+)'", Path(mode).read_text(encoding="utf-8")):
            with open(name, "rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return f"{output.strip()}, data {digest.hexdigest()}"

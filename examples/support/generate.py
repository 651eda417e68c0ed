"""Generate the example support log, the helpdesk export of an invented shop, and its ground truth.

    python examples/support/generate.py [--conversations 2400] [--seed 7] [--out examples/support/log] [--night K]

Writes one gzipped JSON Lines file per month to the folder `--out`, and `truth.jsonl.gz` next to that folder. With
`--night K` it writes only the K-th night after those months, with a tenth as many conversations, as `night-K.jsonl.gz`
and `truth-night-K.jsonl.gz`. The same arguments give the same bytes. Memory use does not depend on the number.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from helpdesk import Entry, Helpdesk, as_line

HERE = Path(__file__).resolve().parent


def write_log(entries: Iterable[tuple[str, Entry]], truth: Path, folder: Path) -> dict[str, int]:
    """Write each entry to the named file, and the ground truth of all entries.

    Returns:
        The number of conversations in each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        truth_file, files = _open_gzip(truth, stack), dict[str, gzip.GzipFile]()
        for name, entry in entries:
            if name not in files:
                files[name] = _open_gzip(folder / name, stack)
            files[name].write(entry.line + b"\n")
            truth_file.write(as_line(entry.truth) + b"\n")
            counts[name] = counts.get(name, 0) + 1
    return counts


def _open_gzip(path: Path, stack: ExitStack) -> gzip.GzipFile:
    """Open a gzip file without time and name in its header, so that its bytes depend on the content only."""
    file = stack.enter_context(path.open("wb"))
    return stack.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0))


def main() -> None:
    """Write the requested log and print what was written."""
    parser = argparse.ArgumentParser(description="Generate the example support log.")
    parser.add_argument("--conversations", type=int, default=2400, help="conversations in the log (default 2400)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=HERE / "log", help="folder of the log; the truth goes next to it")
    parser.add_argument("--night", type=int, default=0, metavar="K", help="write only the K-th later night")
    options = parser.parse_args()
    helpdesk = Helpdesk(options.seed, options.conversations)
    night = f"night-{options.night}" if options.night else ""
    entries = map(helpdesk.entry, helpdesk.calendar.numbers(options.night))
    named = ((f"{night or format(entry.at, '%Y-%m')}.jsonl.gz", entry) for entry in entries)
    truth = options.out.parent / (f"truth-{night}.jsonl.gz" if night else "truth.jsonl.gz")
    for name, written in write_log(named, truth, options.out).items():
        print(f"{options.out / name}: {written} conversations")


if __name__ == "__main__":
    main()

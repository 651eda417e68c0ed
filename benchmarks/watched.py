"""Read files in a child process that can be killed, and measure time, peak memory and outcome of each file."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = b"0123456789abcdef"


class Child:
    """A process that reads files one by one; it is replaced when it has to be killed."""

    def __init__(self, patience: float = 30.0) -> None:
        self.patience = patience
        self.process: subprocess.Popen[bytes] | None = None

    def read(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a job; its `outcome` is `rows`, `refused`, `foreign`, `hang` or `crash`."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.watched"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._line(120.0)
        assert self.process.stdin is not None
        began = time.monotonic()
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        line = self._line(self.patience)
        if line is None or not line:
            self.close()
            outcome = "hang" if line is None else "crash"
            return {"outcome": outcome, "seconds": round(time.monotonic() - began, 2), "mb": 0.0}
        result: dict[str, Any] = json.loads(line)
        return result

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _line(self, patience: float) -> bytes | None:
        """Return a line of the child's output, empty if it has ended, None on a time-out."""
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline() if selector.select(patience) else None


def main() -> None:
    """Read jobs from stdin, one JSON object per line; write the result of each to stdout."""
    from deskloop.contract.errors import DeskloopError

    import_everything()
    print("{}", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        began, cpu = time.monotonic(), time.process_time()
        result: dict[str, Any]
        try:
            result = {"outcome": "rows", **JOBS[job["kind"]](job)}
        except DeskloopError as error:
            result = {"outcome": "refused", "message": str(error), "exit_code": error.exit_code}
        except Exception as error:
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
            result = {"outcome": "foreign", "message": f"{type(error).__name__}: {error} ({place})"[:500]}
        result |= {
            "seconds": round(time.monotonic() - began, 3),
            "cpu": round(time.process_time() - cpu, 3),
            "mb": _peak(),
        }
        print(json.dumps(result), flush=True)


def import_everything() -> None:
    """Import slow modules before the first measurement."""
    import datasets  # noqa: F401

    import tasks.ingest.look
    import tasks.scrub.stream

    tasks.ingest.look.IngestConfig.model_rebuild()


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)


def _ingest(job: Mapping[str, Any]) -> dict[str, Any]:
    from deskloop.contract.schema import RAW_CONVERSATION, to_table
    from deskloop.contract.stage import Context
    from tasks.ingest import IngestConfig, ingest, inputs

    options = dict(job.get("options", {}))
    source = {"path": job["path"], **options.pop("source", {})}
    folder = os.path.dirname(job["path"]) if job.get("inside") else "/"
    config = IngestConfig.model_validate({"sources": [source], **options}, context=folder)
    context = Context("ingest", key=KEY)
    read = rejected = 0
    ids: set[str] = set()
    inputs(config, context)
    for frame in ingest(config, context):
        is_reject = frame["reject"].notna()
        to_table(frame[~is_reject], RAW_CONVERSATION)
        ids.update(frame["row_id"])
        read, rejected = read + int((~is_reject).sum()), rejected + int(is_reject.sum())
    return {"kept": read, "rejected": rejected, "distinct": len(ids)}


def _init(job: Mapping[str, Any]) -> dict[str, Any]:
    from tasks.ingest.look import pipeline_for

    return {"characters": len(pipeline_for(job["path"], Path("/")))}


def _pipeline(job: Mapping[str, Any]) -> dict[str, Any]:
    from deskloop.pipeline.load import load_pipeline
    from tasks import stages

    return {"steps": len(load_pipeline(Path(job["path"]), stages()).steps)}


def _recognizers(job: Mapping[str, Any]) -> dict[str, Any]:
    from tasks.scrub.patterns.file import check, equipment

    equipment(job["path"])
    check(job["path"])
    return {}


JOBS = {"ingest": _ingest, "init": _init, "pipeline": _pipeline, "recognizers": _recognizers}

if __name__ == "__main__":
    main()

"""A data set of the Hugging Face Hub, read through the real libraries from a Hub that answers on this machine.

`python -m tests.tasks.test_ingest_hub_datasets FOLDER CACHE` serves the files of FOLDER as the data set `org/name`, and
prints the rows that ingest reads from it as one line of JSON. It is a separate process, because Hugging Face's
libraries read the address of the Hub when they are imported.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.tasks.test_ingest import write_lines

ROOT = Path(__file__).parents[2]
COMMIT = "c0ffee" + "0" * 34
FILES: dict[str, bytes] = {}
COMMITS: set[str] = set()


def test_a_data_set_of_the_hub_is_read_at_one_commit(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    said = [{"role": "user", "text": "canary"}]
    write_lines(tmp_path / "data" / "train.jsonl", [{"id": f"d{n}", "turns": said} for n in range(4)])
    command = [
        sys.executable,
        "-m",
        "tests.tasks.test_ingest_hub_datasets",
        str(tmp_path / "data"),
        str(tmp_path / "cache"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answers = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, env=environment)
    assert (answers.returncode, answers.stderr) == (0, "")
    assert json.loads(answers.stdout) == {
        "inputs": [["name", COMMIT]],
        "rows": [[f"d{n}", "name"] for n in range(4)],
        "commits": [COMMIT],  # whatever was fetched was of that commit
        "problems": [
            "sources[0]: data set 'org/name' has no split 'test'; it has: train. Set `split`",
            "sources[1]: data set 'org/other' is not on the Hub, or is private: log in with `hf auth login`",
            "sources[2]: data set 'org/name' does not have the declared `revision`",
        ],
    }
    kept = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert b"canary" not in kept  # no customer's words in a cache outside the store


class Hub(BaseHTTPRequestHandler):
    """The few answers that reading a data set takes (https://huggingface.co/docs/hub/api)."""

    def log_message(self, *_: object) -> None:
        """Nothing: a request is no news."""

    def answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = re.fullmatch(r"/datasets/org/name/resolve/(\w+)/(.+)", path)
        if file is not None:
            COMMITS.add(file[1])
            self.file(file[2])
        elif re.fullmatch(rf"/api/datasets/org/name/tree/{COMMIT}(/.*)?", path):
            self.json([self.entry(name) for name in FILES])
        elif path in ("/api/datasets/org/name", f"/api/datasets/org/name/revision/{COMMIT}"):
            self.json({"id": "org/name", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]})
        else:
            code = "RevisionNotFound" if path.startswith("/api/datasets/org/name/revision") else "RepoNotFound"
            self.answer(404, b"{}", X_Error_Code=code)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.json([self.entry(name) for name in FILES if name in asked])

    def json(self, value: Any) -> None:
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def entry(self, name: str) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(FILES[name]), "oid": hashlib.sha1(FILES[name]).hexdigest()}

    def file(self, name: str) -> None:
        if name not in FILES:
            self.answer(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            return
        body, part = FILES[name], re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        known = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        if part is None:
            self.answer(200, body, **known)
        else:
            start, end = int(part[1]), int(part[2] or len(body) - 1)
            self.answer(206, body[start : end + 1], **known, Content_Range=f"bytes {start}-{end}/{len(body)}")


def main() -> None:
    """Serve, ingest, print."""
    FILES.update({path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": sys.argv[2]}

    from deskloop.contract.errors import ConfigError
    from deskloop.contract.stage import Context
    from tasks.ingest import IngestConfig, check, ingest, inputs

    context = Context("ingest", key=b"0123456789abcdef")
    config = IngestConfig.model_validate({"sources": [{"path": "hf://datasets/org/name"}]})
    rows = [row for frame in ingest(config, context) for row in frame[["row_id", "source"]].to_numpy().tolist()]
    found: dict[str, Any] = {"inputs": inputs(config, context), "rows": rows, "commits": sorted(COMMITS)}
    wrong: list[dict[str, str]] = [{"path": "org/name", "split": "test"}, {"path": "org/other"}]
    wrong.append({"path": "org/name", "revision": "v9"})
    try:
        sources = [{**one, "format": "huggingface"} for one in wrong]
        check(IngestConfig.model_validate({"sources": sources}), context)
    except ConfigError as error:
        found["problems"] = error.problems
    print(json.dumps(found))


if __name__ == "__main__":
    main()

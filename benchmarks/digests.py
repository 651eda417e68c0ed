"""Compute the digests of every table and of the model's weights under a fixed key, to compare two commits.

    python -m benchmarks.digests [PIPELINE ...]                    by default the pipelines in `examples/`
    python -m benchmarks.digests --against before.json             compare with the output of an earlier commit

Each pipeline runs in a new store with a fixed secret key instead of a random one, and trains for `--max-steps` steps.
The last line contains, by pipeline, the `digests` of the tables and `weights` (SHA-256 of the candidate's safetensors
file); with `--against`, `different` lists the names that differ. `missing` lists pipelines without a log.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEY = {"id": "00000000", "key": "5a" * 32}


def digests_of(pipeline: Path, max_steps: int) -> dict[str, Any]:
    """Run a pipeline in a new store; return the digests of its tables and the checksums of its weights."""
    with tempfile.TemporaryDirectory(dir=pipeline.parent, prefix=".digests-") as folder:
        keys = Path(folder) / "keys"
        keys.mkdir()
        (keys / "hmac.json").write_text(json.dumps(KEY))
        (keys / "hmac.json").chmod(0o600)
        command = [sys.executable, "-m", "deskloop", "run", "-c", str(pipeline), "--json", "--quiet"]
        command += ["--set", f"store={folder}", "--set", f"finetune.max_steps={max_steps}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
        steps = json.loads(done.stdout)["steps"]
        tables = {
            dataset["dataset"]: dataset["digest"]
            for step in steps.values()
            for dataset in step["datasets"]
            if dataset.get("digest")
        }
        weights = {
            str(path.parent.parent.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).glob("models/*/*/model.safetensors"))
        }
        return {"digests": tables, "weights": weights}


def main() -> None:
    """Run the pipelines and print their digests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipelines", nargs="*", type=Path, metavar="PIPELINE")
    parser.add_argument("--against", type=Path, help="output of an earlier run of this script")
    parser.add_argument("--max-steps", type=int, default=40, help="of training (default 40)")
    options = parser.parse_args()
    files = options.pipelines or sorted((ROOT / "examples").glob("*/pipeline.yaml"))
    document: dict[str, Any] = {"pipelines": {}, "missing": []}
    for file in files:
        try:
            document["pipelines"][file.parent.name] = digests_of(file.resolve(), options.max_steps)
        except subprocess.CalledProcessError as error:
            if error.returncode != 2:
                raise
            document["missing"].append(file.parent.name)
    if options.against is not None:
        before = json.loads(options.against.read_text().splitlines()[-1])["pipelines"]
        document["different"] = sorted(
            f"{pipeline} {part} {name}"
            for pipeline, now in document["pipelines"].items()
            for part in ("digests", "weights")
            for name in {*now[part], *before.get(pipeline, {}).get(part, {})}
            if now[part].get(name) != before.get(pipeline, {}).get(part, {}).get(name)
        )
    print(json.dumps(document))
    sys.exit(bool(document.get("different")))


if __name__ == "__main__":
    main()

"""One script a promise on speed; each prints one JSON object last: `python -m benchmarks.NAME`."""

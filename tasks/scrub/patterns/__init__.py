"""Presidio's pattern recognizers, run over whole batches: the same findings, many times faster.

`Engine` takes recognizer objects as Presidio builds them (patterns, checksums, scores and context words stay there) and
runs each only on the texts that can hold a match.
"""

from tasks.scrub.patterns.engine import Engine

__all__ = ["Engine"]

"""Run Presidio's pattern recognizers over batches of texts: the same findings, many times faster.

`Engine` takes recognizer objects as Presidio builds them, with their patterns, checksums, scores and context words, and
runs each only on texts that can contain a match.
"""

from tasks.scrub.patterns.recognition import Engine

__all__ = ["Engine"]

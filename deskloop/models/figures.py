"""The part of an evaluation's figures that concerns one of several candidates."""

from collections.abc import Mapping
from typing import Any

OTHERS = ("base", "champion", "unigram", "bigram")  # models that a candidate is compared with


def candidates_of(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return candidate's step -> the version that was evaluated; empty for figures of another kind."""
    return dict(figures.get("candidates", {}))


def figures_for(figures: Mapping[str, Any], candidate: str) -> dict[str, Any]:
    """Return the figures with one candidate named `candidate`, and only its comparisons; others keep their names.

    Args:
        candidate: its step.
    """
    names = {candidate: "candidate"}
    replies = [{names.get(name, name): value for name, value in reply.items()} for reply in figures.get("replies", ())]
    return {
        **figures,
        "metrics": {names.get(name, name): value for name, value in figures.get("metrics", {}).items()},
        "comparisons": [each for each in figures.get("comparisons", ()) if each.get("of", candidate) == candidate],
        "replies": replies,
    }


def evaluated_as(figures: Mapping[str, Any], version: str) -> str | None:
    """Return the candidate's name in an evaluation that includes this version; None if it does not."""
    return next((name for name, evaluated in candidates_of(figures).items() if evaluated == version), None)

"""An evaluation's figures, which may be of several candidates, as one candidate sees them."""

from collections.abc import Mapping
from typing import Any

OTHERS = ("base", "champion", "unigram", "bigram")  # models that a candidate is compared with


def candidates_of(figures: Mapping[str, Any]) -> dict[str, str]:
    """Candidate's step -> the version that was evaluated; empty for figures of another kind."""
    return dict(figures.get("candidates", {}))


def figures_for(figures: Mapping[str, Any], candidate: str) -> dict[str, Any]:
    """The figures with one candidate under the name `candidate`, and its own comparisons; the others keep their names.

    Args:
        candidate: its step.
    """
    names = {candidate: "candidate"}
    replies = [{names.get(name, name): value for name, value in reply.items()} for reply in figures.get("replies", ())]
    return {
        **figures,
        "metrics": {names.get(name, name): value for name, value in figures.get("metrics", {}).items()},
        "comparisons": [one for one in figures.get("comparisons", ()) if one.get("of", candidate) == candidate],
        "replies": replies,
    }


def evaluated_as(figures: Mapping[str, Any], version: str) -> str | None:
    """The candidate's name under which an evaluation has a version; None where it has not."""
    return next((name for name, one in candidates_of(figures).items() if one == version), None)

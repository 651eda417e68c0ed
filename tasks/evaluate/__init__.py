"""Evaluate a model on the test split: likelihood, the simplest models on the same tokens, and sample replies."""

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.generation import replies
from tasks.evaluate.likelihood import metrics, score
from tasks.evaluate.ngrams import baselines

__all__ = ["EvaluateConfig", "baselines", "metrics", "replies", "score"]

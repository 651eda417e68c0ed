"""Judge models on the test split, side by side: figures, gates, replies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.generation import replies
from tasks.evaluate.likelihood import score
from tasks.evaluate.ngrams import baselines

MEASURE = "bits_per_byte"


def evaluate(
    models: Mapping[str, Path], train: pa.Table, test: pa.Table, config: EvaluateConfig, seed: int
) -> dict[str, Any]:
    """Score every model and two count models on the same tokens, and let the models reply to the declared prompts.

    Args:
        models: `base` and `candidate`, perhaps more -> a Hugging Face folder each.
        train, test: (n, ENCODED); the count models learn from `train`.
    Returns:
        `metrics` {model: {loss, perplexity, bits_per_byte, token_accuracy, ...}}, `decision` (each gate with its value
        and threshold), `replies` [{prompt, base, candidate}].
    """
    figures = {name: score(folder, test)[0] for name, folder in models.items()}
    figures |= baselines(train, test, _vocabulary(next(iter(models.values()))))
    written = {name: replies(folder, config.prompts, config, seed) for name, folder in models.items()}
    return {
        "metrics": figures,
        "decision": decide(figures),
        "replies": [
            {"prompt": [dict(turn) for turn in prompt], **{name: texts[place] for name, texts in written.items()}}
            for place, prompt in enumerate(config.prompts)
        ],
    }


def decide(figures: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The gates that a candidate has to pass, lower being better; none of them puts it in use yet."""
    value = figures["candidate"][MEASURE]
    gates = [
        {"gate": f"better than {name}", "passed": value < figures[name][MEASURE], "value": value,
         "threshold": figures[name][MEASURE]}
        for name in ("base", "unigram", "bigram")
    ]  # fmt: skip
    return {"promoted": False, "gates": gates}


def _vocabulary(folder: Path) -> int:
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().vocab_size)

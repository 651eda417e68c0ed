"""Compare models on the test split: metrics with intervals, paired differences, and replies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.evaluate.bootstrap import compared, family_sums, interval, resampling
from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.generation import replies
from tasks.evaluate.likelihood import score
from tasks.evaluate.ngrams import baselines


def evaluate(
    models: Mapping[str, Path],
    candidates: Sequence[str],
    train: pa.Table,
    test: pa.Table,
    config: EvaluateConfig,
    seed: int,
    tests: Mapping[str, pa.Table] | None = None,
) -> dict[str, Any]:
    """Score every model and two n-gram baselines on the same conversations, and generate replies to the prompts.

    Args:
        models: `base`, each candidate and perhaps `champion` -> a Hugging Face folder.
        candidates: names of the candidates; each is compared with every other kind of model.
        train, test: (n, ENCODED); the baselines are fitted on `train`.
        tests: model -> the same test conversations in its own tokens, for a model with another tokenizer.
    Returns:
        `metrics` {model: {loss, perplexity, bits_per_byte and its interval, token_accuracy, ...}}, `comparisons`
        [{of, against, difference, low, high, families, conversations}] in bits per byte, `confidence`, `replies`
        [{prompt, base, ...}].
    """
    tables = _shared({name: (tests or {}).get(name, test) for name in models})
    test = tables[candidates[0]]
    scored = {name: score(folder, tables[name]) for name, folder in models.items()}
    scored |= baselines(train, test, _vocabulary(next(iter(models.values()))))
    families = dict(zip(test["conversation_id"].to_pylist(), test["family"].to_pylist(), strict=True))
    sums, names = family_sums({name: rows for name, (_, rows) in scored.items()}, families)
    draws = resampling(len(names), config.resamples, config.confidence, seed)
    figures: dict[str, dict[str, Any]] = {}
    for name, (metrics, _) in scored.items():
        ends = interval(*sums[name], draws)
        figures[name] = {**metrics, **{f"bits_per_byte_{end}": value for end, value in ends.items()}}
    written = {name: replies(folder, config.prompts, config, seed) for name, folder in models.items()}
    return {
        "metrics": figures,
        "comparisons": [
            {"of": candidate, **compared(sums, candidate, name, draws, len(families))}
            for candidate in candidates
            for name in scored
            if name not in candidates
        ],
        "confidence": config.confidence,
        "replies": [
            {"prompt": [dict(turn) for turn in prompt], **{name: texts[place] for name, texts in written.items()}}
            for place, prompt in enumerate(config.prompts)
        ],
    }


def _shared(tests: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Select the conversations that every model can read: another tokenizer may lack a placeholder."""
    conversations = [set(table["conversation_id"].to_pylist()) for table in tests.values()]
    common = pa.array(sorted(set.intersection(*conversations)), pa.string())
    if all(len(ids) == len(common) for ids in conversations):
        return dict(tests)
    return {model: table.filter(pc.is_in(table["conversation_id"], common)) for model, table in tests.items()}


def _vocabulary(folder: Path) -> int:
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().vocab_size)

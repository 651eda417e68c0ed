"""Similarity of two wordings of a turn: by character n-grams, or by a sentence-embedding model."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from deskloop.contract.quiet import quiet
from deskloop.store.memo import Memo, text_hash
from tasks.augment.config import LEXICAL, AugmentConfig
from tasks.pretrained import Pretrained, resolve

Pair = tuple[str, str]  # the original turn, and the rewritten one
Score = Callable[[Sequence[Pair]], list[float]]

ORDER = 6  # characters of the longest n-gram, as in chrF
DECIMALS = 3  # of a score: further ones depend on the rest of an embedding batch
BATCH = 32
LONGEST = 256  # tokens of a turn that are embedded


def chrf(first_text: str, second_text: str) -> float:
    """Character n-gram F-score, 0 to 1; neither text is the reference, so precision and recall count alike.

    Popović: chrF: character n-gram F-score for automatic MT evaluation, WMT 2015; here with beta = 1, case folded.
    """
    first, second = ("".join(text.casefold().split()) for text in (first_text, second_text))
    precision, recall = [], []
    for length in range(1, min(ORDER, len(first), len(second)) + 1):
        left, right = (
            Counter(text[at : at + length] for at in range(len(text) - length + 1)) for text in (first, second)
        )
        shared = (left & right).total()
        recall.append(shared / left.total())
        precision.append(shared / right.total())
    if not sum(recall):
        return 0.0
    p, r = sum(precision) / len(precision), sum(recall) / len(recall)
    return 2 * p * r / (p + r)


def lexical(pairs: Sequence[Pair]) -> list[float]:
    """`chrf` of each pair, rounded."""
    return [round(chrf(*pair), DECIMALS) for pair in pairs]


def scorer(config: AugmentConfig, memo: Memo) -> Score:
    """Return the measure of the config.

    Args:
        memo: keeps the scores of an embedding model, by original and rewritten turn.
    """
    if config.similarity == LEXICAL:
        return lexical
    model = resolve(config.similarity)
    return functools.partial(embedded, model=model, memo=memo)


def embedded(pairs: Sequence[Pair], model: Pretrained, memo: Memo) -> list[float]:
    """Return the cosine of the mean token embeddings of each pair, rounded and memoised.

    Reimers, Gurevych: Sentence-BERT, EMNLP 2019, with mean pooling over the tokens that are not padding.
    """
    import numpy as np

    identity = f"similarity {model.version}"
    items = {pair: (pair[0], int(text_hash(pair[1])[:15], 16)) for pair in pairs}
    known = memo.recall(identity, items.values())
    fresh = [pair for pair, item in items.items() if item not in known]
    if fresh:
        texts = sorted({text for pair in fresh for text in pair}, key=lambda text: (len(text), text))
        vectors = dict(zip(texts, embed(texts, model), strict=True))
        cosines = [float(np.dot(vectors[original], vectors[rewritten])) for original, rewritten in fresh]
        made: dict[tuple[str, int], str | None] = {
            items[pair]: f"{min(1.0, max(0.0, cosine)):.{DECIMALS}f}"
            for pair, cosine in zip(fresh, cosines, strict=True)
        }
        known |= memo.remember(identity, made)
    return [float(known[items[pair]] or 0.0) for pair in pairs]


def embed(texts: Sequence[str], model: Pretrained) -> Any:
    """Embed texts as (n, hidden) float32 rows of length 1."""
    import numpy as np
    import torch

    tokenizer, network = _loaded(model)
    parts = []
    for at in range(0, len(texts), BATCH):
        batch = tokenizer(
            list(texts[at : at + BATCH]), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        ).to(network.device)
        with torch.inference_mode():
            hidden = network(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        parts.append(torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy())
    return np.concatenate(parts)


@functools.lru_cache(maxsize=1)
def _loaded(model: Pretrained) -> tuple[Any, Any]:
    """Load the tokenizer and the model, on the GPU if there is one."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with quiet():
        network = AutoModel.from_pretrained(model.source, revision=model.revision, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(model.source, revision=model.revision)
    return tokenizer, network.eval().to(device)

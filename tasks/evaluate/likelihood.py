"""Score a model: the likelihood of each supervised token, shifted and masked (P9).

The logits at position t predict token t + 1, so they are compared with the labels one position to the right. Padding
and everything except supervised agent turns is masked.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.encode.windows import IGNORED
from tasks.evaluate.batches import by_length, collate, columns

BUDGET = 4096  # tokens of a batch
LOGITS = 1 << 28  # entries of a batch's logits, 1 GiB in float32
DIGITS = 6  # decimals of a row's likelihood; further ones depend on the composition of the batch


def score(model_folder: Path, encoded: pa.Table) -> tuple[dict[str, float], pd.DataFrame]:
    """Compute the likelihood of the supervised tokens under a model.

    Args:
        model_folder: a Hugging Face folder.
        encoded: (n, ENCODED), not empty; each row counts once, whatever its `repeats`.
    Returns:
        Metrics (see `metrics`), and (n,) rows in the table's order: `row_id`, `conversation_id`, `nll` (nats, summed
        over the row's tokens), `tokens`, `correct` (tokens that the model ranks first), `bytes`.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(model_folder).to(device)
    rows = pd.DataFrame(
        {
            "row_id": encoded.column("row_id").to_pylist(),
            "conversation_id": encoded.column("conversation_id").to_pylist(),
            **likelihood(model, encoded),
            "bytes": encoded.column("supervised_bytes").to_numpy().astype(np.int64),
        }
    )
    return metrics(rows), rows


def likelihood(model: Any, encoded: pa.Table) -> dict[str, np.ndarray]:
    """Return `nll` (nats), `tokens` and `correct` of each row, in the table's order; restores the model's mode."""
    import torch

    device = next(model.parameters()).device
    training = model.training
    model.eval()
    data = columns(encoded)
    result = {name: np.zeros(len(encoded), kind) for name, kind in (("nll", float), ("tokens", int), ("correct", int))}
    with torch.inference_mode():
        for batch in by_length(data["lengths"], min(BUDGET, LOGITS // model.config.get_text_config().vocab_size)):
            tensors = collate(batch, data["tokens"], data["labels"], pad=0)
            inputs = {name: tensor.to(device) for name, tensor in tensors.items() if name != "labels"}
            labels = tensors["labels"].to(device)
            with supervised_only(model, labels):
                logits = model(**inputs, use_cache=False).logits
            nll, tokens, correct = token_scores(logits, labels)
            places = [row[0] for row in batch]
            result["nll"][places] = nll.cpu().numpy().round(DIGITS)
            result["tokens"][places] = tokens.cpu().numpy()
            result["correct"][places] = correct.cpu().numpy()
    model.train(training)
    return result


@contextmanager
def supervised_only(model: Any, labels: Any) -> Iterator[None]:
    """Restrict a model's logits to the positions that predict a supervised token, within the context.

    The last layer takes half of a small model's compute, and most of the memory if the vocabulary is large. Each logit
    depends only on its own position, so the remaining values do not change.

    Args:
        model: a causal model; its logits become (supervised tokens, vocabulary), in the order of `supervised`.
        labels: (batch, seq) int64 tensor, -100 where masked.
    """
    seen = labels[:, 1:] != IGNORED
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][:, :-1][seen], *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def supervised(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Shift and mask: logits and target ids of the supervised tokens, row by row.

    Args:
        logits: (batch, seq, vocabulary) tensor, or the restricted one of `supervised_only`.
        labels: (batch, seq) int64 tensor, -100 where masked.
    Returns:
        (supervised tokens, vocabulary) float32 and (supervised tokens,) int64 tensors.
    """
    targets = labels[:, 1:]
    seen = targets != IGNORED
    chosen = logits if logits.dim() == 2 else logits[:, :-1][seen]
    return chosen.float(), targets[seen]


def token_scores(logits: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Sum the scores of each row's supervised tokens.

    Args:
        logits, labels: as for `supervised`.
    Returns:
        (batch,) tensors: negative log-likelihood in nats (float64), supervised tokens, correct ones.
    """
    import torch

    predicted, targets = supervised(logits, labels)
    seen = labels[:, 1:] != IGNORED
    rows = seen.nonzero()[:, 0]
    losses = torch.nn.functional.cross_entropy(predicted, targets, reduction="none")
    hits = predicted.argmax(-1) == targets
    counts = len(labels)
    nll = torch.zeros(counts, dtype=torch.float64, device=labels.device).index_add_(0, rows, losses.double())
    correct = torch.zeros(counts, dtype=torch.int64, device=labels.device).index_add_(0, rows, hits.long())
    return nll, seen.sum(1), correct


def metrics(rows: pd.DataFrame | Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return metrics over all tokens of all rows.

    Args:
        rows: with `nll` (nats), `tokens`, `correct`, `bytes`.
    Returns:
        `loss` (nats per token), `perplexity`, `bits_per_byte` (of the agent's UTF-8 text, including the cost of the
        stop tokens; comparable between tokenizers), `token_accuracy`, `supervised_tokens`.
    """
    nll, tokens, size = float(np.sum(rows["nll"])), int(np.sum(rows["tokens"])), int(np.sum(rows["bytes"]))
    loss = nll / tokens
    return {
        "loss": loss,
        "perplexity": float(np.exp(loss)),
        "bits_per_byte": nll / float(np.log(2)) / size,
        "token_accuracy": int(np.sum(rows["correct"])) / tokens,
        "supervised_tokens": tokens,
    }


def load_model(folder: Path) -> Any:
    """Load a causal model in float32 from a local folder."""
    import torch
    from transformers import AutoModelForCausalLM

    from deskloop.contract.quiet import quiet

    with quiet():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)

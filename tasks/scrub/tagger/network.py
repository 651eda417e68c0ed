"""The tagger's network in torch, for training; `arrays` exports it for `inference`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.scrub.tagger.features import BUCKETS, FLAGS, NAME_FLAGS, SHAPES
from tasks.scrub.tagger.inference import CEILING, STEPS, TAPS, TYPES

LARGEST = 2.0  # absolute limit of embedding entries; the quantization step is this divided by 127
HIDE_WORD, HIDE_LISTS = 0.1, 0.3  # dropout rates of a form's own embedding and of its name lists


class Network(nn.Module):
    """Embeddings of token forms, three layers over neighbouring tokens, and one logit per type."""

    def __init__(self, words: int, width: int, hidden: int) -> None:
        super().__init__()
        self.grams = nn.Parameter(torch.randn(BUCKETS, width) * 0.3)
        self.words = nn.Parameter(torch.randn(words, width) * 0.1)
        self.flags = nn.Parameter(torch.randn(len(FLAGS), width) * 0.1)
        self.shapes = nn.Parameter(torch.randn(SHAPES, width) * 0.1)
        sizes = [
            (width * len(TAPS[0]), hidden),
            *((hidden * len(taps), hidden) for taps in TAPS[1:]),
            (hidden, len(TYPES)),
        ]
        self.weights = nn.ParameterList([torch.randn(size) * (1.5 / size[0]) ** 0.5 for size in sizes])
        self.biases = nn.ParameterList([torch.zeros(size[1]) for size in sizes])

    def forward(self, tables: list[Tensor], forms: Tensor, places: Tensor, training: bool) -> Tensor:
        """Return logits (tokens, types); `forms` are the distinct forms, `places` each token's index into them."""
        values = self.rows(tables, forms, training)[places]
        real = (forms[places] != 0).float()[:, None]
        values = values * real
        for number, taps in enumerate(TAPS):
            wide = torch.cat([_shift(values, tap) for tap in taps], 1)
            values = wide @ _rounded(self.weights[number]) + self.biases[number]
            values = _steps(values.clamp(0, CEILING), CEILING) * real
        return values @ _rounded(self.weights[-1]) + self.biases[-1]

    def rows(self, tables: list[Tensor], forms: Tensor, training: bool) -> Tensor:
        """Return embeddings of token forms, (forms, width), from -1 to 1."""
        words, flags, shapes, flat, offsets = tables
        row, lists = words[forms], flags[forms]
        if training:
            row = row * (torch.rand(len(forms)) >= HIDE_WORD)
            seen = torch.ones_like(lists)
            seen[:, :NAME_FLAGS] = (torch.rand(len(forms), 1) >= HIDE_LISTS).float()
            lists = lists * seen
        counts = offsets[forms + 1] - offsets[forms]
        starts = torch.cumsum(counts, 0) - counts
        at = torch.arange(int(counts.sum())) - torch.repeat_interleave(starts - offsets[forms], counts)
        grams = nn.functional.embedding_bag(flat[at], _clipped(self.grams), starts, mode="mean")
        total = grams + _clipped(self.words)[row] + lists @ _clipped(self.flags) + _clipped(self.shapes)[shapes[forms]]
        return _steps(total.clamp(-1, 1), 1.0)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of the model file: 8-bit weights with their scales, and biases."""
        arrays: dict[str, Any] = {"unit": np.float32(LARGEST / STEPS)}
        for name in ("grams", "words", "flags", "shapes"):
            table = getattr(self, name).detach().clamp(-LARGEST, LARGEST)
            arrays[name] = torch.round(table * (STEPS / LARGEST)).to(torch.int8).numpy()
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            scale = weight.detach().abs().max() / STEPS
            arrays[f"weight{number}"] = torch.round(weight.detach() / scale).to(torch.int8).numpy()
            arrays[f"scale{number}"] = np.float32(scale)
            arrays[f"bias{number}"] = bias.detach().numpy()
        return arrays


def _shift(values: Tensor, tap: int) -> Tensor:
    if tap == 0:
        return values
    zeros = values.new_zeros(abs(tap), values.shape[1])
    return torch.cat([values[tap:], zeros]) if tap > 0 else torch.cat([zeros, values[:tap]])


def _clipped(table: Tensor) -> Tensor:
    return table.clamp(-LARGEST, LARGEST)


def _rounded(weight: Tensor) -> Tensor:
    """Return the weight as stored, with straight-through gradients."""
    scale = weight.detach().abs().max() / STEPS
    return weight + (torch.round(weight.detach() / scale) * scale - weight.detach())


def _steps(values: Tensor, largest: float) -> Tensor:
    size = largest / STEPS
    return values + (torch.round(values.detach() / size) * size - values.detach())

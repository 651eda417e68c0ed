"""Run texts through a Hugging Face model; each output depends on its text and seed, not on the rest of the batch.

Sampling uses the Gumbel-max trick (https://arxiv.org/abs/1611.01144, section 2.1): the likeliest token after adding
noise is a sample. Each text has its own noise generator. The batch still affects the last bits of floating-point sums.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deskloop.contract.quiet import quiet
from tasks.pretrained import Pretrained

BROKEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]")  # no text: control characters, incomplete characters
SHORTEST = 16  # tokens; inputs up to this length share batches, then up to twice this, and so on


@dataclass(frozen=True)
class Settings:
    """Settings of decoding.

    Attributes:
        beams: of beam search, without sampling.
        temperature: of sampling; 0: none.
        top_p: probability mass to sample from.
        max_new_tokens: most tokens of an answer.
        batch_size: texts.
    """

    beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 256
    batch_size: int = 16


class Model:
    """A model and its tokenizer, in float32, on a GPU if there is one."""

    def __init__(self, pretrained: Pretrained, kind: str) -> None:
        """Load it.

        Args:
            kind: `seq2seq` or `chat`.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

        maker = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
        with quiet():
            self.tokenizer = AutoTokenizer.from_pretrained(pretrained.source, revision=pretrained.revision)
            model = maker.from_pretrained(pretrained.source, revision=pretrained.revision, dtype=torch.float32)
        self._kind = kind
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = "right" if kind == "seq2seq" else "left"
        limit = getattr(model.config, "max_position_embeddings", None) or self.tokenizer.model_max_length
        self._limit = min(int(limit), self.tokenizer.model_max_length)

    def __call__(self, texts: Sequence[str], seeds: Sequence[int], settings: Settings) -> list[str | None]:
        """Generate the model's output for each text.

        Args:
            texts: n, distinct together with their seeds.
            seeds: n; they matter where words are drawn.
        Returns:
            n texts without special tokens; None for a text that is too long for the model, or an answer that is no
            text.
        """
        special = self._kind == "seq2seq"  # a chat template has written them already
        with quiet():  # a text that is too long is dealt with below
            ids = [self.tokenizer(text, add_special_tokens=special)["input_ids"] for text in texts]
        results: list[str | None] = [None] * len(texts)
        for places, most in self._batches([len(tokens) for tokens in ids], settings):
            answers = self._generate(
                [ids[place] for place in places], [seeds[place] for place in places], most, settings
            )
            for place, answer in zip(places, answers, strict=True):
                results[place] = answer
        return results

    def _batches(self, lengths: Sequence[int], settings: Settings) -> list[tuple[list[int], int]]:
        """[(places of one batch, most new tokens)]; the bound follows from a text's own length alone."""
        groups: dict[int, list[int]] = {}
        for place, length in sorted(enumerate(lengths), key=lambda entry: (entry[1], entry[0])):
            size = SHORTEST
            while size < length:
                size *= 2
            if 0 < length <= self._limit - (0 if self._kind == "seq2seq" else self._most(size, settings)):
                groups.setdefault(size, []).append(place)
        return [
            (places[at : at + settings.batch_size], self._most(size, settings))
            for size, places in groups.items()
            for at in range(0, len(places), settings.batch_size)
        ]

    def _most(self, size: int, settings: Settings) -> int:
        """New tokens for a text of up to `size`; beyond twice its length, a model only repeats itself."""
        return min(settings.max_new_tokens, 2 * size + SHORTEST, self._limit - 1)

    def _generate(self, ids: list[list[int]], seeds: Sequence[int], most: int, settings: Settings) -> list[str | None]:
        import torch
        from transformers import LogitsProcessorList

        drawn = [Drawn(seeds, settings.temperature, settings.top_p)] if settings.temperature else []
        with quiet(), torch.inference_mode():
            batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._model.device)
            made = self._model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=False,
                num_beams=1 if drawn else settings.beams,
                max_new_tokens=most,
                pad_token_id=self.tokenizer.pad_token_id,
                logits_processor=LogitsProcessorList(drawn),
            )
            made = made if self._kind == "seq2seq" else made[:, batch["input_ids"].shape[1] :]
            answers = self.tokenizer.batch_decode(made, skip_special_tokens=True)
        return [None if BROKEN.search(answer) else answer.strip() for answer in answers]


class Drawn:
    """Makes the choice of the likeliest token a draw: temperature, top-p, and Gumbel noise per row."""

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        """Create one random generator per row of the batch."""
        import torch
        from transformers import TopPLogitsWarper

        self._rows = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature = temperature
        self._top_p = TopPLogitsWarper(top_p)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Map (rows, vocabulary) scores to scores whose largest is the token drawn."""
        import torch

        likely = self._top_p(input_ids, scores / self._temperature)
        noise = torch.stack([torch.rand(scores.shape[1], generator=row, dtype=torch.float64) for row in self._rows])
        gumbel = -torch.log(-torch.log(noise.clamp(1e-300, 1 - 1e-16)))
        return likely + gumbel.to(device=scores.device, dtype=scores.dtype)

"""Back-translation by a pair of models: Marian (https://arxiv.org/abs/1804.00344), or any other of its kind."""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from tasks.augment.generators.config import BackTranslationConfig
from tasks.augment.generators.lines import Item, around_spans, by_line
from tasks.augment.generators.neural import Model, Settings
from tasks.pretrained import resolve

SENTENCES = re.compile(r"((?:(?<=[!?…])|(?<=[\w>)]{2}\.))\s+(?=\S))")  # not after the full stop of `e.g.`


class ModelTranslation:
    """Translation into another language and back, by sentence, as such models are trained on sentences."""

    keyed, neural = False, True

    def __init__(self, config: BackTranslationConfig, versions: Mapping[str, str]) -> None:
        """Keep the config; the models are loaded at the first call."""
        self._config = config
        self._settings = Settings(
            beams=config.beams, max_new_tokens=config.max_new_tokens, batch_size=config.batch_size
        )
        self.identity = config.identity({**versions, "transformers": importlib.metadata.version("transformers")})

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Return translations line by line; None if nothing changed or a protected span was lost.

        Args:
            texts: n texts.
            seeds: n; not used.
        """
        protect = self._config.protect
        return by_line(
            texts, [0] * len(texts), protect, lambda lines: around_spans(lines, protect, self._back, codes=True)
        )

    @cached_property
    def _pair(self) -> tuple[Model, Model]:
        names = self._config.forward or "", self._config.backward or ""
        forward, backward = (Model(resolve(name, self._config.label), "seq2seq") for name in names)
        return forward, backward

    def _back(self, items: Sequence[Item]) -> list[str | None]:
        """Translate texts and back; a sentence that is too long or comes back empty stays unchanged."""
        split = [SENTENCES.split(text) for text, _ in items]
        made = self._translated({sentence for parts in split for sentence in parts[::2]})
        return ["".join(made.get(part) or part for part in parts) for parts in split]

    def _translated(self, sentences: set[str]) -> dict[str, str | None]:
        out = _through(self._pair[0], sorted(sentences), self._config.forward_prefix, self._settings)
        between = sorted({text for text in out.values() if text})
        back = _through(self._pair[1], between, self._config.backward_prefix, self._settings)
        return {sentence: back.get(text) if text else None for sentence, text in out.items()}


def _through(model: Model, texts: Sequence[str], prefix: str, settings: Settings) -> dict[str, str | None]:
    answers = model([prefix + text for text in texts], [0] * len(texts), settings)
    return {
        text: None if answer is None else " ".join(answer.split()) for text, answer in zip(texts, answers, strict=True)
    }

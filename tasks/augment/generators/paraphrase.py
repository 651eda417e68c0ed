"""Paraphrase by a sequence-to-sequence model such as T5, BART or Pegasus, or by a chat model."""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from tasks.augment.generators.config import ParaphraseConfig
from tasks.augment.generators.lines import Item, around_spans, by_line
from tasks.augment.generators.neural import Model, Settings
from tasks.pretrained import architecture_of, resolve

PROMPTS = {
    "seq2seq": "paraphrase: {text}",
    "chat": "Say what this customer writes in other words. Keep its meaning, its language and its tone. Copy every "
    "number, code, link and word in angle brackets exactly as it is. Answer with the new text alone.\n\n{text}",
}
THOUGHT = re.compile(r"\A.*</think>", re.DOTALL)
PREAMBLE = re.compile(
    r"\A(?:(?:sure|sure thing|certainly|of course|okay|ok)\s*[,.!:]+\s*)?"
    r"(?:(?:here\b|(?:the |a |my )?(?:rewritten|rephrased|reworded|paraphrased?|new)\b)[^\n:]{0,80}:\s*)?",
    re.IGNORECASE,
)
MARKER = re.compile(r"\A(?:[-*•]\s+|\d{1,2}[.)]\s+)")
QUOTES = {'"': '"', "“": "”", "«": "»", "'": "'", "‘": "’", "`": "`"}


class Paraphrase:
    """Rewrites each line in other words."""

    neural = True

    def __init__(self, config: ParaphraseConfig, versions: Mapping[str, str]) -> None:
        """Keep the config; the model is loaded at the first call."""
        self._config = config
        self.keyed = config.temperature > 0
        self._settings = Settings(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
            batch_size=config.batch_size,
        )
        self.identity = config.identity({**versions, "transformers": importlib.metadata.version("transformers")})

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Return paraphrases line by line; None if nothing changed or a protected span was lost."""
        protect, codes = self._config.protect, self._loaded[1] == "seq2seq"
        used = list(seeds) if self.keyed else [0] * len(texts)
        return by_line(texts, used, protect, lambda lines: around_spans(lines, protect, self._said, codes))

    @cached_property
    def _loaded(self) -> tuple[Model, str]:
        pretrained = resolve(self._config.model, self._config.label)
        declared = self._config.architecture
        kind = architecture_of(pretrained, self._config.label) if declared == "auto" else str(declared)
        return Model(pretrained, kind), kind

    def _said(self, items: Sequence[Item]) -> list[str | None]:
        """Return paraphrases; None for an empty answer."""
        model, kind = self._loaded
        asked = [(self._config.prompt or PROMPTS[kind]).replace("{text}", text) for text, _ in items]
        if kind == "chat":
            asked = [
                model.tokenizer.apply_chat_template(
                    [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
                )
                for prompt in asked
            ]
        answers = model(asked, [seed for _, seed in items], self._settings)
        return [
            None if answer is None else first_answer(answer, text) or None
            for (text, _), answer in zip(items, answers, strict=True)
        ]


def first_answer(answer: str, text: str) -> str:
    """The first answer of a model, on one line, without thoughts, preamble, list marker or quotes around it.

    Args:
        answer: the model's output.
        text: the input; a preamble that it begins with itself is kept.
    """
    said = THOUGHT.sub("", answer).strip()
    if not PREAMBLE.match(text.strip())[0]:  # type: ignore[index]
        said = PREAMBLE.sub("", said, count=1).strip()
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")
    if not MARKER.match(text.strip()):
        first = MARKER.sub("", first)
    if len(first) > 1 and QUOTES.get(first[0]) == first[-1] and text.strip()[:1] != first[0]:
        first = first[1:-1]
    return " ".join(first.split())

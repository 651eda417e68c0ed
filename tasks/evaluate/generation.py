"""Generate replies with a model: seeded sampling and exact decoding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskloop.contract.quiet import quiet
from tasks.encode.rendering import segments, stop_ids, token_ids
from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.likelihood import load_model


@dataclass(frozen=True)
class TextGenerator:
    """A loaded model for generating replies.

    Attributes:
        context: tokens of prompt and reply together; None for no limit.
        config: the sampling options.
    """

    model: Any
    tokenizer: Any
    context: int | None
    config: EvaluateConfig

    @property
    def room(self) -> int | None:
        """The longest prompt in tokens; None for no limit."""
        return None if self.context is None else max(1, self.context - self.config.max_new_tokens)


def load_text_generator(model_folder: Path, config: EvaluateConfig) -> TextGenerator:
    """Load the model of a Hugging Face folder with its tokenizer, on the GPU if there is one."""
    import torch
    from transformers import AutoTokenizer

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(model_folder).to(device).eval()
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return TextGenerator(model, tokenizer, context, config)


def prompt_ids(generator: TextGenerator, turns: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the token ids of a conversation up to the beginning of the agent's next turn."""
    parts = token_ids(generator.tokenizer, segments(generator.tokenizer, turns, reply=True))
    return [token for part in parts for token in part]


def answer(generator: TextGenerator, ids: Sequence[int], seed: int, show: Callable[[str], None] | None = None) -> str:
    """Generate the agent's next turn.

    Args:
        ids: of the prompt; the oldest tokens of a prompt longer than the context are removed.
        seed: of the sampling; torch's global random state does not change.
        show: called with each piece of the reply as it is generated, to display it.
    Returns:
        The text without the stop token; placeholders in it are complete.
    """
    import torch
    from transformers import GenerationConfig

    config, tokenizer, device = generator.config, generator.tokenizer, generator.model.device
    sampling = {"temperature": config.temperature, "top_k": config.top_k, "top_p": config.top_p}
    settings = GenerationConfig(
        max_new_tokens=config.max_new_tokens,
        do_sample=config.temperature > 0,
        no_repeat_ngram_size=config.no_repeat_ngram,
        eos_token_id=[stop_ids(tokenizer)[0], tokenizer.eos_token_id],
        pad_token_id=tokenizer.pad_token_id,
        **(sampling if config.temperature else {}),
    )
    prompt = ids if generator.room is None else ids[-generator.room :]
    inputs = torch.tensor([prompt], device=device)
    streamer = _streamer(tokenizer, show) if show else None
    with quiet(), torch.inference_mode(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        output = generator.model.generate(
            inputs, attention_mask=torch.ones_like(inputs), generation_config=settings, streamer=streamer
        )
    reply: str = tokenizer.decode(output[0, inputs.shape[1] :], skip_special_tokens=True)
    return reply


def replies(
    model_folder: Path, prompts: Sequence[Sequence[Mapping[str, Any]]], config: EvaluateConfig, seed: int
) -> list[str]:
    """Generate the agent's next turn for each prompt.

    Args:
        model_folder: a Hugging Face folder with its tokenizer.
        prompts: conversations of `{"role", "text"}`; the oldest tokens of one longer than the context are removed.
        seed: a reply depends only on the seed, its prompt and the prompt's position.
    Returns:
        One text per prompt, without the stop token; placeholders in them are complete.
    """
    generator = load_text_generator(model_folder, config)
    return [
        answer(generator, prompt_ids(generator, prompt), seed * 1_000_003 + place)
        for place, prompt in enumerate(prompts)
    ]


def _streamer(tokenizer: Any, show: Callable[[str], None]) -> Any:
    from transformers import TextStreamer

    class Shown(TextStreamer):
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            show(text)

    return Shown(tokenizer, skip_prompt=True, skip_special_tokens=True)

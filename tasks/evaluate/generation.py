"""What a model answers to declared prompts: sampled, seeded, decoded exactly."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deskloop.dialogue import segments, stop_ids, token_ids
from deskloop.quiet import quiet
from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.likelihood import load_model


def replies(
    model_folder: Path, prompts: Sequence[Sequence[Mapping[str, Any]]], config: EvaluateConfig, seed: int
) -> list[str]:
    """The agent's next turn for each prompt.

    Args:
        model_folder: a Hugging Face folder with its tokenizer.
        prompts: conversations of `{"role", "text"}`; the oldest tokens go where one is longer than the context.
        seed: a reply depends on it, its prompt and the prompt's place only.
    Returns:
        As many texts, without the stop token; placeholders are in them whole.
    """
    import torch
    from transformers import AutoTokenizer, GenerationConfig

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(model_folder).to(device).eval()
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    settings = GenerationConfig(
        max_new_tokens=config.max_new_tokens,
        do_sample=config.temperature > 0,
        no_repeat_ngram_size=config.no_repeat_ngram,
        eos_token_id=[stop_ids(tokenizer)[0], tokenizer.eos_token_id],
        pad_token_id=tokenizer.pad_token_id,
        **(
            {"temperature": config.temperature, "top_k": config.top_k, "top_p": config.top_p}
            if config.temperature
            else {}
        ),
    )
    result = []
    for place, prompt in enumerate(prompts):
        parts = token_ids(tokenizer, segments(tokenizer, prompt, reply=True))
        ids = [token for some in parts for token in some]
        room = None if context is None else -max(1, context - config.max_new_tokens)
        inputs = torch.tensor([ids[room:]], device=device)
        with quiet(), torch.inference_mode(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + place)
            output = model.generate(inputs, attention_mask=torch.ones_like(inputs), generation_config=settings)
        reply: str = tokenizer.decode(output[0, inputs.shape[1] :], skip_special_tokens=True)
        result.append(reply)
    return result

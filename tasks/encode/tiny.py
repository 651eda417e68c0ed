"""`tiny`, the embedded base model: a small GPT-2 with its own tokenizer, for running without a model hub.

Its width and depth give the best bits per byte on the test split after about a minute of training on two cores.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.contract.quiet import quiet
from tasks.encode import tokenizer as tokenizer_module
from tasks.encode.rendering import DEFAULT_CHAT_TEMPLATE, TAGS

CONTEXT = 1024  # tokens
WIDTH = 160
LAYERS = 2
HEADS = 5


def train_tokenizer(texts: Iterable[str], vocabulary: int = 4096) -> dict[str, bytes]:
    """Train a byte-level BPE tokenizer with the tokens of a dialogue; deterministic.

    Args:
        texts: the training turns; placeholders in them are skipped, because they get their own tokens.
        vocabulary: number of tokens, including the 256 bytes and the special ones; fewer if the texts yield fewer.
    Returns:
        The files of a `PreTrainedTokenizerFast` (see `tasks.encode.tokenizer.load`).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        show_progress=False,
        special_tokens=[tokenizer_module.STOP, tokenizer_module.PAD, *TAGS.values()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    backend.train_from_iterator((piece for text in texts for piece in PLACEHOLDER.split(text)), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=tokenizer_module.STOP,
        eos_token=tokenizer_module.STOP,
        pad_token=tokenizer_module.PAD,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = DEFAULT_CHAT_TEMPLATE
    return tokenizer_module.to_files(tokenizer)


def make_tiny(tokenizer_files: Mapping[str, bytes], folder: Path, seed: int) -> None:
    """Write an untrained GPT-2 for this tokenizer as a plain Hugging Face folder.

    Args:
        tokenizer_files: the result of `train_tokenizer`, possibly with placeholders added.
        folder: created atomically, with its parents.
        seed: of the weights; the same seed gives the same bytes.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tokenizer_module.load(tokenizer_files, "tiny")
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        # A model this small underfits after a minute of training, so dropout would only slow it down.
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tiny-") as scratch:
        complete = Path(scratch, "model")
        with quiet():
            model.save_pretrained(complete)
        for name, content in tokenizer_files.items():
            (complete / name).write_bytes(content)
        complete.rename(folder)

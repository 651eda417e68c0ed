"""Load models as functions from texts to spans."""

from collections.abc import Callable, Sequence
from typing import Any

from deskloop.contract.errors import ConfigError
from deskloop.contract.quiet import quiet
from tasks.scrub.external.find import Model
from tasks.scrub.external.findings import entity_of
from tasks.scrub.span import Span

Tagger = Callable[[list[str]], list[list[Span]]]

PIECE, MARGIN = 2000, 200  # characters per piece for spaCy, and of overlap between pieces
STRIDE = 64  # tokens of overlap between two windows of a classifier
LONGEST = 512  # maximum tokens of a window
BATCH = 32  # windows
DECIMALS = 3  # of a score
SURE = 0.85  # score of spaCy's findings, whose models report no confidence
UNUSED = ("parser", "lemmatizer", "attribute_ruler", "tagger", "morphologizer", "senter", "textcat")


def spacy_tagger(detector: Model) -> Tagger:
    """Load a spaCy pipeline as a function; long texts are processed in overlapping pieces."""
    import spacy

    spacy.prefer_gpu()
    with quiet():
        pipeline = spacy.load(detector.source, exclude=list(UNUSED))

    def tag(texts: list[str]) -> list[list[Span]]:
        pieces = [(number, offset, piece) for number, text in enumerate(texts) for offset, piece in _pieces(text)]
        spans: list[list[Span]] = [[] for _ in texts]
        documents = pipeline.pipe((piece for _, _, piece in pieces), batch_size=BATCH)
        for (number, offset, piece), document in zip(pieces, documents, strict=True):
            edge = offset + (MARGIN // 2 if offset else 0)
            last = offset + len(piece) - (MARGIN // 2 if offset + len(piece) < len(texts[number]) else 0)
            for mention in document.ents:
                entity, start = entity_of(mention.label_), offset + mention.start_char
                if entity and edge <= start < last:
                    spans[number].append(Span(start, offset + mention.end_char, entity, SURE))
        return spans

    return tag


def _pieces(text: str) -> list[tuple[int, str]]:
    """Return (offset, piece); pieces overlap by `MARGIN`, and the middle of an overlap separates their findings."""
    step = PIECE - MARGIN
    return [(offset, text[offset : offset + PIECE]) for offset in range(0, max(1, len(text) - MARGIN), step)]


def token_tagger(detector: Model) -> Tagger:
    """Load a Hugging Face token classifier as a function, on the GPU if there is one.

    Raises:
        ConfigError: it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    source, revision = detector.source, detector.revision
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
            model = AutoModelForTokenClassification.from_pretrained(source, revision=revision)
        except (OSError, ValueError) as error:
            raise ConfigError(f"detector: {source!r} cannot be loaded ({type(error).__name__})", "scrub") from None
    if not tokenizer.is_fast:
        raise ConfigError(f"detector: {source!r} has no fast tokenizer (tokenizer.json)", "scrub")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).eval()
    limit = min(LONGEST, tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST))
    labels = [model.config.id2label[number] for number in range(model.config.num_labels)]

    def scores(batch: Any) -> Any:
        with torch.inference_mode():
            padded = tokenizer.pad(batch, return_tensors="pt").to(device)
            return model(**padded).logits.float().softmax(-1).cpu()

    def tag(texts: list[str]) -> list[list[Span]]:
        return _classified(texts, tokenizer, scores, labels, limit)

    return tag


def _classified(
    texts: list[str], tokenizer: Any, scores: Callable[[Any], Any], labels: Sequence[str], limit: int
) -> list[list[Span]]:
    """Return the spans of each text; each token takes its label from the window in which it is most central."""
    with quiet():
        encoded = tokenizer(
            texts, truncation=True, max_length=limit, stride=min(STRIDE, limit // 4), return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )  # fmt: skip
    names = [name for name in tokenizer.model_input_names if name in encoded]
    best: list[dict[tuple[int, int], tuple[int, int, float]]] = [{} for _ in texts]  # offsets: margin, label, score
    windows = range(len(encoded["input_ids"]))
    for start in range(0, len(windows), BATCH):
        batch = windows[start : start + BATCH]
        probabilities = scores({name: [encoded[name][window] for window in batch] for name in names})
        for window, rows in zip(batch, probabilities, strict=True):
            tokens = encoded["offset_mapping"][window]
            chosen = best[encoded["overflow_to_sample_mapping"][window]]
            rounded = (rows * 10**DECIMALS).round()
            for place, (begin, end) in enumerate(tokens):
                margin = min(place, len(tokens) - 1 - place)
                if begin < end and margin > chosen.get((begin, end), (-1, 0, 0.0))[0]:
                    label = int(rounded[place].argmax())
                    chosen[begin, end] = margin, label, float(rounded[place][label]) / 10**DECIMALS
    return [_joined(text, labelled, labels) for text, labelled in zip(texts, best, strict=True)]


def _joined(text: str, labelled: dict[tuple[int, int], tuple[int, int, float]], labels: Sequence[str]) -> list[Span]:
    """Join tokens of one type that only white space separates; a `B-` in a new word begins another span."""
    spans: list[Span] = []
    for (start, end), (_, label, score) in sorted(labelled.items()):
        entity = entity_of(labels[label])
        if entity is None:
            continue
        last = spans[-1] if spans and spans[-1].type == entity else None
        gap = text[last.end : start] if last else ""
        if last and not gap.strip() and not (gap and labels[label].startswith("B-")):
            spans[-1] = Span(last.start, end, entity, min(last.score, score))
        else:
            spans.append(Span(start, end, entity, score))
    return spans

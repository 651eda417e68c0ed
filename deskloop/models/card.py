"""A model's card: training data, training, evaluation and limits, in figures only.

The format is Hugging Face's (https://huggingface.co/docs/hub/model-cards): YAML that the hub reads, then Markdown.
"""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deskloop.store.catalog import Version

FILE = "README.md"
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
LOGGED = ("log", "feedback")  # origins of rows that people wrote; all others are generated
MEASURES = ("bits_per_byte", "perplexity", "loss", "token_accuracy")
SETTINGS = (
    "learning_rate", "scheduler", "warmup_share", "weight_decay", "epochs", "max_steps", "batch_tokens",
    "gradient_accumulation", "max_grad_norm", "dropout", "early_stopping", "packing",
)  # fmt: skip
ROLES = {
    "base": "before fine-tuning",
    "candidate": "this model",
    "champion": "the champion when this model was evaluated",
    "unigram": "word frequencies alone",
    "bigram": "word pairs alone",
}


def card(
    version: Version,
    evaluation: Mapping[str, Any] | None = None,
    *,
    gates: Sequence[Mapping[str, Any]] = (),
    datasets: Sequence[Version] = (),
    base: str = "tiny",
    languages: Mapping[str, int] | None = None,
    intents: Mapping[str, int] | None = None,
    origins: Mapping[str, int] | None = None,
) -> str:
    """Write the card of a published model.

    Args:
        version: the model; its `config`, `details` and `libraries` describe its training.
        evaluation: `metrics` {model: figures}, `comparisons`, `confidence`; its `replies` are not shown.
        gates: [{gate, passed, value, threshold}].
        datasets: versions that it was trained and evaluated on.
        base: `tiny`, a model id or a folder.
        languages, intents, origins: training rows by language, intent and origin.
    Returns:
        Markdown that begins with YAML.
    """
    figures = (evaluation or {}).get("metrics", {})
    spoken = [name for name in (languages or {}) if name != "und"]
    head = _metadata(version, figures, datasets, base, spoken)
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n",
        f"# {version.dataset} {version.version}\n",
        f"Writes the agent's next turn in a support conversation. Fine-tuned from {_base_name(base)} by the deskloop "
        f"pipeline `{version.dataset}`; in its catalog this is `{version.name}`.\n",
        _data(version, datasets, languages or {}, intents or {}, origins or {}),
        _training(version),
        _figures(figures, (evaluation or {}).get("confidence")),
        _comparisons((evaluation or {}).get("comparisons", ())),
        _gates(gates),
        _limits(origins or {}),
        _loading(),
    ]
    return "\n".join(part for part in parts if part)


def write_card(folder: Path, text: str) -> None:
    """Write a card to a model's folder atomically; the model's digests do not cover it."""
    temporary = folder / f".card-{uuid.uuid4().hex}"
    try:
        temporary.write_text(text, encoding="utf-8")  # unlike `tempfile`, this respects the umask
        temporary.replace(folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)


def _metadata(
    version: Version, figures: Mapping[str, Any], datasets: Sequence[Version], base: str, languages: Sequence[str]
) -> dict[str, Any]:
    head: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if languages:
        head["language"] = list(languages)
    # The hub would take any other name for another user's model.
    if base != "tiny" and HUB_ID.fullmatch(base) and not Path(base).is_dir():
        head["base_model"] = base
    head["tags"] = ["deskloop", "customer-support", "conversational"]
    scores = figures.get("candidate", {})
    measures = [name for name in MEASURES if name in scores]
    if measures:
        head["metrics"] = measures
        name = next((version.name for version in datasets if version.dataset.startswith("test")), "test split")
        head["model-index"] = [
            {
                "name": version.dataset,
                "results": [
                    {
                        "task": {"type": "text-generation", "name": "the agent's next turn"},
                        "dataset": {"type": "private", "name": name},
                        "metrics": [
                            {"type": measure, "name": measure.replace("_", " "), "value": round(scores[measure], 4)}
                            for measure in measures
                        ],
                    }
                ],
            }
        ]
    return head


def _base_name(base: str) -> str:
    if base == "tiny":
        return "`tiny`, a small GPT-2 trained from scratch with its own tokenizer"
    return f"`{Path(base).name if Path(base).is_absolute() else base}`"


def _data(
    version: Version,
    datasets: Sequence[Version],
    languages: Mapping[str, int],
    intents: Mapping[str, int],
    origins: Mapping[str, int],
) -> str:
    lines = [
        "## Training data\n",
        "Support conversations from a private log, with personal data replaced by placeholders.\n",
    ]
    rows = {each.name: f"{each.rows:,}" for each in datasets if each.kind == "dataset"}
    digests = {each.name: each.digest for each in datasets if each.kind == "dataset"}
    digests |= {parent.name: parent.digest for parent in version.parents}
    if digests:
        cells = [(f"`{name}`", rows.get(name, ""), f"`{digest[:16]}`") for name, digest in digests.items()]
        lines.append(_table(("version", "rows", "digest"), cells))
    total, generated = sum(origins.values()), _generated(origins)
    if total:
        share = f"{generated:,} ({generated / total:.1%})"
        lines.append(f"Of {total:,} training rows, {share} are generated copies: {_counts(origins)}.\n")
    if languages:
        lines.append(f"Languages, by rows: {_counts(languages)}.\n")
    if intents:
        lines.append(f"Intents, by rows: {_counts(intents)}.\n")
    return "\n".join(lines)


def _training(version: Version) -> str:
    details = version.details
    cells = [
        (label, f"{details[key]:,}" if isinstance(details[key], int) else str(details[key]))
        for key, label in (("parameters", "parameters"), ("steps", "optimizer steps"), ("tokens", "tokens trained on"),
                           ("seconds", "seconds"), ("device", "device"), ("precision", "precision"),
                           ("best_validation_loss", "best validation loss, nats per token"))
        if details.get(key) is not None
    ]  # fmt: skip
    cells += [
        (key.replace("_", " "), str(version.config[key])) for key in SETTINGS if version.config.get(key) is not None
    ]
    cells += list(version.libraries.items())
    return "\n".join(["## Training\n", _table(("", "value"), cells)]) if cells else ""


def _figures(figures: Mapping[str, Any], confidence: float | None) -> str:
    if not figures:
        return "## Evaluation\n\nNot evaluated yet.\n"
    cells = []
    for name, scores in figures.items():
        spread = scores.get("bits_per_byte_low") is not None and scores.get("bits_per_byte_high") is not None
        interval = f" ({scores['bits_per_byte_low']:.3f} to {scores['bits_per_byte_high']:.3f})" if spread else ""
        cells.append(
            (
                f"{name}: {ROLES[name]}" if name in ROLES else name,
                f"{scores['bits_per_byte']:.3f}{interval}",
                f"{scores['perplexity']:.2f}" if "perplexity" in scores else "",
                f"{scores['token_accuracy']:.1%}" if "token_accuracy" in scores else "",
            )
        )
    text = (
        "Bits per byte of the agents' text in the test split: lower is better, and models with different tokenizers "
        "are comparable."
    )
    if confidence:
        text += f" In parentheses: the {confidence:.0%} interval over families of conversations."
    return "\n".join(
        ["## Evaluation\n", text + "\n", _table(("model", "bits per byte", "perplexity", "token accuracy"), cells)]
    )


def _comparisons(comparisons: Iterable[Mapping[str, Any]]) -> str:
    cells = [
        (figures["against"], f"{figures['difference']:+.3f}", _range(figures),
         f"{figures['conversations']:,} conversations in {figures['families']:,} families")
        for figures in comparisons
    ]  # fmt: skip
    if not cells:
        return ""
    heading = "This model's bits per byte minus the other's, on the same families; below 0 is better.\n"
    return "\n".join([heading, _table(("against", "difference", "interval", "measured on"), cells)])


def _gates(gates: Sequence[Mapping[str, Any]]) -> str:
    figures = [(_number(gate.get("value")), _number(gate.get("threshold"))) for gate in gates]
    passed = ["passed" if gate["passed"] else "failed" for gate in gates]
    cells = [(gate["gate"], word, *pair) for gate, word, pair in zip(gates, passed, figures, strict=True)]
    return "\n".join(["## Gates\n", _table(("gate", "", "value", "threshold"), cells)]) if cells else ""


def _limits(origins: Mapping[str, int]) -> str:
    lines = [
        "## Limits\n",
        "* Its training text has placeholders such as `<PERSON_1>` in place of names, addresses and numbers, and it "
        "writes placeholders itself, which the application must replace by values. Scrub customers' messages before "
        "you pass them to the model. Detection is not perfect, so the training text may contain rare personal values.",
        "* Its evaluation measures the likelihood of agents' replies, not whether its own replies are correct. It "
        "invents facts; have a person or a knowledge base check replies before customers read them.",
        "* It covers the products, policies and languages of its log at the time of training.",
    ]
    if _generated(origins):
        lines.append("* Generated copies are in the training split only; validation and test are logged conversations.")
    return "\n".join(lines) + "\n"


def _loading() -> str:
    return """## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
messages = [{"role": "user", "content": "Hi, where is my order <ORDER_ID_1>?"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=60)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```

Or `deskloop chat`. vLLM and `transformers serve` load the folder as it is.
"""


def _generated(origins: Mapping[str, int]) -> int:
    return sum(count for origin, count in origins.items() if origin not in LOGGED)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _range(interval: Mapping[str, Any]) -> str:
    if interval["low"] is None or interval["high"] is None:
        return "too few families"
    return f"{interval['low']:+.3f} to {interval['high']:+.3f}"


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"

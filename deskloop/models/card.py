"""A model's card: what it was trained on, how, how it compares and what it is not for. Figures only.

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
    "champion": "the model in use when this one was judged",
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
    """The card of a published model.

    Args:
        version: the model; its `config`, `details` and `libraries` tell how it was trained.
        evaluation: `metrics` {model: figures}, `comparisons`, `confidence`; its `replies` are not shown.
        gates: [{gate, passed, value, threshold}].
        datasets: versions that it was trained and judged on.
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
        f"Writes the agent's next turn in a support conversation. Fine-tuned from {_told(base)} by the deskloop "
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
    """Put a card into a model's folder, whole or not at all; the model's digests do not cover it."""
    temporary = folder / f".card-{uuid.uuid4().hex}"
    try:
        temporary.write_text(text, encoding="utf-8")  # unlike `tempfile`, this leaves the permissions to the umask
        temporary.replace(folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)


def _metadata(
    version: Version, figures: Mapping[str, Any], datasets: Sequence[Version], base: str, languages: Sequence[str]
) -> dict[str, Any]:
    head: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if languages:
        head["language"] = list(languages)
    # A name that the hub does not know would be taken for somebody else's model.
    if base != "tiny" and HUB_ID.fullmatch(base) and not Path(base).is_dir():
        head["base_model"] = base
    head["tags"] = ["deskloop", "customer-support", "conversational"]
    own = figures.get("candidate", {})
    found = [name for name in MEASURES if name in own]
    if found:
        head["metrics"] = found
        test = next((one for one in datasets if one.dataset.startswith("test")), None)
        name = test.name if test else "test split"
        head["model-index"] = [
            {
                "name": version.dataset,
                "results": [
                    {
                        "task": {"type": "text-generation", "name": "the agent's next turn"},
                        "dataset": {"type": "private", "name": name},
                        "metrics": [
                            {"type": one, "name": one.replace("_", " "), "value": round(own[one], 4)} for one in found
                        ],
                    }
                ],
            }
        ]
    return head


def _told(base: str) -> str:
    if base == "tiny":
        return "`tiny`, a small GPT-2 made from scratch with a tokenizer of its own"
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
        "Support conversations from a private log, personal data replaced by placeholders.\n",
    ]
    rows = {one.name: f"{one.rows:,}" for one in datasets if one.kind == "dataset"}
    known = {one.name: one.digest for one in datasets if one.kind == "dataset"}
    known |= {parent.name: parent.digest for parent in version.parents}
    if known:
        cells = [(f"`{name}`", rows.get(name, ""), f"`{digest[:16]}`") for name, digest in known.items()]
        lines.append(_table(("version", "rows", "digest"), cells))
    total, made = sum(origins.values()), _made(origins)
    if total:
        lines.append(
            f"Of {total:,} training rows {made:,} ({made / total:.1%}) are generated copies: {_counts(origins)}.\n"
        )
    if languages:
        lines.append(f"Languages, by rows: {_counts(languages)}.\n")
    if intents:
        lines.append(f"Intents, by rows: {_counts(intents)}.\n")
    return "\n".join(lines)


def _training(version: Version) -> str:
    found = version.details
    cells = [
        (label, f"{found[key]:,}" if isinstance(found[key], int) else str(found[key]))
        for key, label in (("parameters", "parameters"), ("steps", "optimizer steps"), ("tokens", "tokens trained on"),
                           ("seconds", "seconds"), ("device", "device"), ("precision", "precision"),
                           ("best_validation_loss", "best validation loss, nats a token"))
        if found.get(key) is not None
    ]  # fmt: skip
    cells += [
        (key.replace("_", " "), str(version.config[key])) for key in SETTINGS if version.config.get(key) is not None
    ]
    cells += [(name, one) for name, one in version.libraries.items()]
    return "\n".join(["## Training\n", _table(("", "value"), cells)]) if cells else ""


def _figures(figures: Mapping[str, Any], confidence: float | None) -> str:
    if not figures:
        return "## Evaluation\n\nNot judged yet.\n"
    cells = []
    for name, one in figures.items():
        spread = one.get("bits_per_byte_low") is not None and one.get("bits_per_byte_high") is not None
        interval = f" ({one['bits_per_byte_low']:.3f} to {one['bits_per_byte_high']:.3f})" if spread else ""
        cells.append(
            (
                f"{name}: {ROLES[name]}" if name in ROLES else name,
                f"{one['bits_per_byte']:.3f}{interval}",
                f"{one['perplexity']:.2f}" if "perplexity" in one else "",
                f"{one['token_accuracy']:.1%}" if "token_accuracy" in one else "",
            )
        )
    text = (
        "Bits per byte of the agents' text in the test split: lower is better, and models with different tokenizers "
        "compare."
    )
    if confidence:
        text += f" In brackets: the {confidence:.0%} interval over families of conversations."
    return "\n".join(
        ["## Evaluation\n", text + "\n", _table(("model", "bits per byte", "perplexity", "token accuracy"), cells)]
    )


def _comparisons(comparisons: Iterable[Mapping[str, Any]]) -> str:
    cells = [
        (one["against"], f"{one['difference']:+.3f}", _range(one),
         f"{one['conversations']:,} conversations in {one['families']:,} families")
        for one in comparisons
    ]  # fmt: skip
    if not cells:
        return ""
    heading = "This model's bits per byte less the other's, on the same families; below 0 is better.\n"
    return "\n".join([heading, _table(("against", "difference", "interval", "measured on"), cells)])


def _gates(gates: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        (one["gate"], "passed" if one["passed"] else "failed", _number(one.get("value")), _number(one.get("threshold")))
        for one in gates
    ]
    return "\n".join(["## Gates\n", _table(("gate", "", "value", "threshold"), cells)]) if cells else ""


def _limits(origins: Mapping[str, int]) -> str:
    lines = [
        "## Limits\n",
        "* It has read placeholders such as `<PERSON_1>` where people wrote names, addresses and numbers, and writes "
        "placeholders itself: whatever uses it puts the values back. Scrub what customers write before it gets it. "
        "No detection finds everything, so rare personal values may have been in the training text.",
        "* It was judged by how likely it finds what agents wrote, not by whether its replies are right. It makes up "
        "facts; let a person or a knowledge base check what customers get to read.",
        "* It knows the products, the policies and the languages of its log, as they were then.",
    ]
    if _made(origins):
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


def _made(origins: Mapping[str, int]) -> int:
    return sum(count for origin, count in origins.items() if origin not in LOGGED)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _range(interval: Mapping[str, Any]) -> str:
    known = interval["low"] is not None and interval["high"] is not None
    return f"{interval['low']:+.3f} to {interval['high']:+.3f}" if known else "too few families"


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"

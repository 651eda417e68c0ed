"""`deskloop init`: inspect the first records of a log and write a pipeline file for it.

The file and the messages contain field names, never values.
"""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.stage import Context, StageConfig
from deskloop.pipeline.load import RESERVED
from deskloop.pipeline.pipeline import Step
from tasks.ingest.config import IngestConfig, SourceConfig
from tasks.ingest.conversation import AMBIGUOUS, ENTITY_TYPES
from tasks.ingest.discovery import find_files
from tasks.ingest.fields import LOOKED_AT, TABLE, field_names, turn_list
from tasks.ingest.proposals import likely_encoding, likely_roles

# Our name -> usual names in logs, in lower case, for the columns of a CSV and the fields of a record.
NAMES = {
    "conversation_id": (
        "conversation_id",
        "ticket_id",
        "ticket",
        "chat_id",
        "case_id",
        "thread_id",
        "session_id",
        "id",
    ),
    "role": ("role", "sender", "speaker", "from", "author", "author_role", "sender_type"),
    "text": ("text", "body", "message", "content", "utterance", "value"),
    "at": ("at", "timestamp", "created_at", "time", "date", "sent_at"),
    "customer": ("customer", "question", "customer_message", "request", "query"),
    "agent": ("agent", "answer", "agent_message", "reply"),
    "instruction": ("instruction", "prompt", "input"),
    "response": ("response", "completion", "output"),
    "context": ("context", "context/0", "history", "dialogue_history"),
    "intent": ("intent", "subflow", "category", "topic", "label", "issue_type"),
    "rating": ("rating", "csat", "score", "stars"),
}
# Names that ingest looks for by default, in a record and inside a turn.
DEFAULTED = ("conversation_id", "id", "instruction", "response", "context", "context/0", "intent", "subflow", "rating")
DEFAULTED_IN_TURNS = ("role", "text", "at", "ts", "timestamp")
SHAREGPT_TEXTS = ("value", "content", "text")
OPT_OUT = ("opt_out", "opted_out", "no_training", "do_not_train", "optout")
METADATA = ("channel", "language", "product", "queue", "team", "priority")
CUSTOMER = {
    "id": ("customer.id", "customer_id", "requester_id", "user_id"),
    "email": ("customer.email", "customer_email", "email"),
    "phone": ("customer.phone", "customer_phone", "phone"),
}


def pipeline_for(log: str, folder: Path) -> str:
    """Return the text of a commented pipeline file for a log.

    Args:
        log: the file, glob or URL.
        folder: the folder of the pipeline file; the path in the file is relative to it.
    Raises:
        ConfigError, InputError: the file is missing, or contains no readable records.
    """
    path = log if "://" in log else os.path.relpath(os.path.expanduser(log), folder)
    config = IngestConfig.model_validate({"sources": [{"path": path}]}, context=folder)
    try:
        files = find_files(config, Context("ingest"))
        first = next(file for file in files if not file.skipped)
        encoding = likely_encoding(first, config)
        if encoding is not None:
            first = replace(first, source=first.source.model_copy(update={"encoding": encoding}))
        format, names = field_names(first, config)
    except ConfigError as error:
        problems = [re.sub(r"^sources\[0\]: ", "", problem) for problem in error.problems]
        raise ConfigError(problems, "the command") from None
    if not names:
        raise InputError(f"{first.label}: none of its first {LOOKED_AT} records is a JSON object or a row of a table")
    options = _source_options(path, names, format)
    if encoding is not None:
        options.insert(1, f"  encoding: {encoding}   # the file is not UTF-8; this encoding is the likeliest")
    name = _pipeline_name(log.rstrip("/").rpartition("/")[2].split(".")[0])
    roles = _roles_line(*likely_roles(first, SourceConfig.model_validate(yaml.safe_load("\n".join(options))[0])))
    return _TEMPLATE.format(name=name, source="\n".join(f"          {line}" for line in options), roles=roles)


def _roles_line(roles: Mapping[str, str], certain: bool) -> str:
    """Return the line that declares the log's own roles, commented out unless they are certain."""
    if not roles:
        return "# roles: {bot: agent}           # map a role that deskloop does not know to customer, agent or system"
    line = f"roles: {_mapping({_quoted(theirs): ours for theirs, ours in roles.items()})}"
    return f"{line}   # the other side of these conversations" if certain else f"# {line}   # a guess: check it"


def _pipeline_name(stem: str) -> str:
    """Derive a valid pipeline name from a file's stem, unlike any dataset (`train.jsonl`) or YAML word (`yes.csv`)."""
    from tasks import stages

    ascii_only = unicodedata.normalize("NFKD", stem.lower()).encode("ascii", "ignore").decode()
    plain = re.sub("[^a-z0-9]+", "-", ascii_only).strip("-")
    name = plain if plain[:1].isalpha() else f"log-{plain}"
    steps = [Step(stage.name, stage, StageConfig(), stage.dataset) for stage in stages().values()]
    reserved = {*RESERVED, *(dataset for step in steps for dataset in step.datasets.values())}
    return (f"{name}-log" if name in reserved or yaml.safe_load(name) != name else name)[:40].strip("-")


def _source_options(path: str, names: Counter[str], format: str) -> list[str]:
    """Return the lines of a source entry, in YAML flow style."""
    lines = [f"- path: {_quoted(path)}"]
    personal: dict[str, list[str]] = {}
    if format == "zendesk":
        lines.append("  # users: users.json   # if names and roles are in a separate file, beside the tickets")
    else:
        if columns := _columns(names, format):
            lines.append(f"  columns: {_mapping(columns)}   # our name: the log's")
        if customer := _matching(names, CUSTOMER):
            lines.append(f"  customer: {_mapping(customer)}   # stored as keyed hashes only")
        personal = _personal_fields(names)
    typed = [name for name in ("known", "known_pii") if name in names]
    if typed:
        lines.append(f"  # known: not declared, so {' and '.join(typed)} and the usual fields count as personal")
    elif personal:
        lines.append("  known:   # fields with personal values; scrubbed wherever they occur")
        lines += [f"    {kind}: [{', '.join(map(_quoted, paths))}]" for kind, paths in personal.items()]
    others = _matching(names, {"opt_out": OPT_OUT, **{name: (name,) for name in METADATA}})
    if "opt_out" in others:
        lines.append(
            f"  opt_out: {_quoted(others.pop('opt_out'))}   # records with a true value are neither used nor stored"
        )
    if others:
        lines.append(f"  metadata: [{', '.join(map(_quoted, others.values()))}]")
    return lines


def _columns(names: Counter[str], format: str) -> dict[str, str]:
    """Return the fields whose names differ from those that ingest looks for by default: our name -> the log's."""
    columns = _matching(names, NAMES)
    if "response" not in columns or "instruction" in columns or turn_list(names):
        columns.pop("context", None)
    if format != TABLE:
        unused: tuple[str, ...] = ("role", "text", "at", "customer", "agent")
        outer = {ours: theirs for ours, theirs in columns.items() if ours not in unused and theirs not in DEFAULTED}
        return outer | _turn_columns(names)
    has_pairs = {"customer", "agent"} <= columns.keys()
    explicit = set[str]()
    if {"conversation_id", "role", "text"} <= columns.keys():
        # Columns named customer and agent then hold names; an explicit `text` makes ingest ignore them.
        unused = ("customer", "agent", "instruction", "response", "context")
        explicit = {"text"} if has_pairs else explicit
    else:
        is_row = has_pairs or {"instruction", "response"} <= columns.keys() or "context" in columns
        unused = ("role", "text") if is_row else ()
    return {
        ours: theirs for ours, theirs in columns.items() if ours not in unused and (ours != theirs or ours in explicit)
    }


def _turn_columns(names: Counter[str]) -> dict[str, str]:
    """Return the fields of a JSON record's turns: our name -> the log's."""
    turns = turn_list(names)
    if not turns:
        return {}
    prefix = f"{turns}[]."
    inner = Counter(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    defaults = (*DEFAULTED_IN_TURNS, "content") if turns == "messages" else DEFAULTED_IN_TURNS
    fields = _matching(inner, {ours: NAMES[ours] for ours in ("role", "text", "at")})
    if turns == "conversations" and fields.get("role") in ("from", "role") and fields.get("text") in SHAREGPT_TEXTS:
        return {}
    columns = {ours: theirs for ours, theirs in fields.items() if theirs not in defaults}
    return columns if turns in ("turns", "messages") else {"turns": turns, **columns}


def _matching(names: Iterable[str], usual: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return our name -> the log's, for the usual names that the log has, in any case."""
    lower = {name.lower(): name for name in names}
    first = {ours: next((lower[name] for name in theirs if name in lower), None) for ours, theirs in usual.items()}
    return {ours: theirs for ours, theirs in first.items() if theirs is not None}


def _personal_fields(names: Counter[str]) -> dict[str, list[str]]:
    """Return entity type -> fields whose names suggest it."""
    fields: dict[str, list[str]] = {}
    for name in sorted(names):
        head, _, leaf = name.rpartition(".")
        whose = ("customer", "requester", "user", "contact")
        plain = leaf.lower()
        bare = plain.removeprefix("customer_")
        kind = ENTITY_TYPES.get(plain) or (ENTITY_TYPES.get(bare) if not head else None)
        if kind and (head in whose or (not head and plain not in AMBIGUOUS)):
            fields.setdefault(kind, []).append(name)
    return fields


def _mapping(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_quoted(value)}" for key, value in values.items()) + "}"


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", text, re.ASCII) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)


_TEMPLATE = """\
# Written by `deskloop init`. Review it, then run `deskloop plan` and `deskloop run`.
# Paths are relative to this file. `deskloop schema` prints a JSON Schema that editors understand.
name: {name}
seed: 7
base: tiny            # or any causal model: distilgpt2, microsoft/DialoGPT-medium, Qwen/Qwen3-0.6B, a folder
# workers: 2          # processes
# store: .deskloop/{name}

steps:
  - ingest:
      sources:
{source}
      {roles}
  - scrub                            # personal data becomes placeholders such as <PERSON_1>
  - normalize: {{min_turns: 2, max_chars: 20000}}
  - dedupe:                          # removes duplicates; assigns families to splits permanently
      validation: 0.1
      test: 0.1
      customer: true                 # a customer's conversations stay in one split
  - split                            # writes and verifies train, validation and test
  - encode: {{max_length: 512}}
  - base                             # the model before fine-tuning
  - finetune: {{epochs: 3}}
  - evaluate:
      prompts:                       # base and candidate answer these in the report
        - - {{role: customer, text: "Where is my order?"}}
  - promote                          # the candidate becomes the champion if it passes every gate
"""

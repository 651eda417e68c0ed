"""`deskloop init`: look at the first records of a log and write a pipeline file that reads it.

Only field names are written down and shown, never a value.
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
from tasks.ingest.fields import LOOKED_AT, TABLE, field_names, turn_list
from tasks.ingest.files import find_files
from tasks.ingest.proposals import likely_encoding, likely_roles

# Their name -> ours, for the fields of a CSV or of a record, in lower case.
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
# What ingest looks for anyway, in a record and inside a turn.
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
    """A commented pipeline file for a log.

    Args:
        log: the file, glob or URL.
        folder: where the pipeline file will lie; the path in it is relative to that.
    Raises:
        ConfigError, InputError: the file is missing, or nothing in it can be read as records.
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
        plain = [re.sub(r"^sources\[0\]: ", "", problem) for problem in error.problems]
        raise ConfigError(plain, "the command") from None
    if not names:
        raise InputError(f"{first.label}: none of its first {LOOKED_AT} records is a JSON object or a row of a table")
    options = _source_options(path, names, format)
    if encoding is not None:
        options.insert(1, f"  encoding: {encoding}   # it is not in UTF-8, and its bytes look like this")
    name = _pipeline_name(log.rstrip("/").rpartition("/")[2].split(".")[0])
    roles = _roles_line(*likely_roles(first, SourceConfig.model_validate(yaml.safe_load("\n".join(options))[0])))
    return _TEMPLATE.format(name=name, source="\n".join(f"          {line}" for line in options), roles=roles)


def _roles_line(roles: Mapping[str, str], certain: bool) -> str:
    """The line for roles of the log's own: declared where they are certain, else as a comment."""
    if not roles:
        return "# roles: {bot: agent}           # a role that deskloop has no word for: customer, agent or system"
    line = f"roles: {_mapping({_quoted(theirs): ours for theirs, ours in roles.items()})}"
    return f"{line}   # the other side of these conversations" if certain else f"# {line}   # a guess: check it"


def _pipeline_name(stem: str) -> str:
    """A file's stem as a pipeline may be called: not like a dataset (`train.jsonl`) or a word of YAML (`yes.csv`)."""
    from tasks import stages

    ascii_only = unicodedata.normalize("NFKD", stem.lower()).encode("ascii", "ignore").decode()
    plain = re.sub("[^a-z0-9]+", "-", ascii_only).strip("-")
    name = plain if plain[:1].isalpha() else f"log-{plain}"
    steps = [Step(stage.name, stage, StageConfig(), stage.dataset) for stage in stages().values()]
    taken = {*RESERVED, *(dataset for step in steps for dataset in step.datasets.values())}
    return (f"{name}-log" if name in taken or yaml.safe_load(name) != name else name)[:40].strip("-")


def _source_options(path: str, names: Counter[str], format: str) -> list[str]:
    """The lines of a source entry, in YAML flow style."""
    lines = [f"- path: {_quoted(path)}"]
    if format == "zendesk":
        lines.append("  # users: users.json   # where names and roles are in a file of their own, beside the tickets")
    columns = {} if format == "zendesk" else _columns(names, format)
    if columns:
        lines.append(f"  columns: {_mapping(columns)}   # our name: theirs")
    customer = {} if format == "zendesk" else _called(names, CUSTOMER)
    if customer:
        lines.append(f"  customer: {_mapping(customer)}   # kept as keyed hashes only")
    known = {} if format == "zendesk" else _known(names)
    typed = [name for name in ("known", "known_pii") if name in names]
    if typed:
        lines.append(f"  # known: not declared, so that {' and '.join(typed)} and the usual fields count as personal")
    elif known:
        lines.append("  known:   # what the log itself knows to be personal; scrubbed wherever it occurs")
        lines += [f"    {kind}: [{', '.join(map(_quoted, paths))}]" for kind, paths in known.items()]
    others = _called(names, {"opt_out": OPT_OUT, **{name: (name,) for name in METADATA}})
    if "opt_out" in others:
        lines.append(f"  opt_out: {_quoted(others.pop('opt_out'))}   # a true value there: not used, not kept")
    if others:
        lines.append(f"  metadata: [{', '.join(map(_quoted, others.values()))}]")
    return lines


def _columns(names: Counter[str], format: str) -> dict[str, str]:
    """The fields whose names are not the ones that ingest looks for anyway."""
    found = _called(names, NAMES)
    is_table, has_turns = format == TABLE, bool(turn_list(names))
    if "response" not in found or "instruction" in found or has_turns:
        found.pop("context", None)
    if not is_table:
        unused: tuple[str, ...] = ("role", "text", "at", "customer", "agent")
        outer = {our: their for our, their in found.items() if our not in unused and their not in DEFAULTED}
        return outer | _turn_columns(names)
    has_pairs = {"customer", "agent"} <= found.keys()
    if {"conversation_id", "role", "text"} <= found.keys():
        # Columns called customer and agent hold names then; that `text` is declared tells ingest so.
        unused = ("customer", "agent", "instruction", "response", "context")
        explicit = {"text"} if has_pairs else set()
    else:
        is_row = has_pairs or {"instruction", "response"} <= found.keys() or "context" in found
        unused = ("role", "text") if is_row else ()
        explicit = set()
    return {our: their for our, their in found.items() if our not in unused and (our != their or our in explicit)}


def _turn_columns(names: Counter[str]) -> dict[str, str]:
    """Where the turns of a JSON record are, and how their fields are called."""
    turns = turn_list(names)
    if not turns:
        return {}
    prefix = f"{turns}[]."
    inner = Counter(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    defaults = (*DEFAULTED_IN_TURNS, "content") if turns == "messages" else DEFAULTED_IN_TURNS
    found = _called(inner, {ours: NAMES[ours] for ours in ("role", "text", "at")})
    if turns == "conversations" and found.get("role") in ("from", "role") and found.get("text") in SHAREGPT_TEXTS:
        return {}
    columns = {ours: theirs for ours, theirs in found.items() if theirs not in defaults}
    return columns if turns in ("turns", "messages") else {"turns": turns, **columns}


def _called(names: Iterable[str], wanted: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our name -> theirs, as far as one of the usual names is there, in any case."""
    lower = {name.lower(): name for name in names}
    first = {ours: next((lower[one] for one in theirs if one in lower), None) for ours, theirs in wanted.items()}
    return {ours: theirs for ours, theirs in first.items() if theirs is not None}


def _known(names: Counter[str]) -> dict[str, list[str]]:
    """Entity type -> fields, as far as their names tell."""
    known: dict[str, list[str]] = {}
    for name in sorted(names):
        head, _, leaf = name.rpartition(".")
        whose = ("customer", "requester", "user", "contact")
        plain = leaf.lower()
        owned = plain.removeprefix("customer_")
        kind = ENTITY_TYPES.get(plain) or (ENTITY_TYPES.get(owned) if not head else None)
        if kind and (head in whose or (not head and plain not in AMBIGUOUS)):
            known.setdefault(kind, []).append(name)
    return known


def _mapping(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_quoted(value)}" for key, value in values.items()) + "}"


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", text, re.ASCII) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)


_TEMPLATE = """\
# Written by `deskloop init`: review it, then `deskloop plan` and `deskloop run`.
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
  - dedupe:                          # duplicates out; families and their splits fixed for good
      validation: 0.1
      test: 0.1
      customer: true                 # conversations of one customer are never split
  - split                            # train, validation, test; verified
  - encode: {{max_length: 512}}
  - base                             # the model before fine-tuning
  - finetune: {{epochs: 3}}
  - evaluate:
      prompts:                       # what base and candidate are asked in the report
        - - {{role: customer, text: "Where is my order?"}}
  - promote                          # the candidate becomes the champion if it passes every gate
"""

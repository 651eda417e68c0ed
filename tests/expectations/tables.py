"""Small datasets on which every suite passes, as rows to break."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from deskloop.contract.placeholders import find
from deskloop.contract.schema import CONVERSATION, ENCODED, RAW_CONVERSATION, conversations, to_table
from deskloop.engine.expect import Validation, validate

MODULES = ("ingested", "scrubbed", "normalized", "deduped", "annotated", "selected", "balanced", "split", "encoded")
SCHEMAS = {"ingested": RAW_CONVERSATION, "encoded": ENCODED}
ROWS = 120


@dataclass
class Data:
    """One dataset as Python rows, with its schema and facts; `break_` changes them in place."""

    rows: list[dict[str, Any]]
    schema: pa.Schema
    facts: dict[str, float] = field(
        default_factory=lambda: {
            "rows_in": ROWS,
            "rows_out": ROWS,
            "rejected": 0,
            "added": 0,
            "max_length": 16,
            "planted": 100,
            "found": 90,
            "min_recall": 0.8,
            "types_below": 0,
        }
    )

    def table(self) -> pa.Table:
        return pa.Table.from_pylist(self.rows, schema=self.schema)


def good(module: str) -> Data:
    """(120, the dataset's schema): 62 train, 6 validation, 52 test; a family each, distinct words, two intents."""
    rows = [_conversation(number) for number in range(ROWS)]
    if module == "encoded":
        return Data([_window(row) for row in rows], ENCODED)
    schema = SCHEMAS.get(module, CONVERSATION)
    return Data(to_table(conversations(rows, schema), schema).to_pylist(), schema)


def broken(module: str, break_: Callable[[Data], None]) -> Validation:
    data = copy.deepcopy(good(module))
    break_(data)
    return validate(f"expectations.{module}", [data.table()], data.facts)


def failed(validation: Validation) -> set[str]:
    return {result.description for result in validation.results if not result.passed}


def _conversation(number: int) -> dict[str, Any]:
    turns = [
        {"role": "customer", "text": f"Where is parcel {number} of <PERSON_1>?"},
        {"role": "agent", "text": f"Parcel {number} is on its way."},
        {"role": "system", "text": "Closed."},
    ]
    return {
        "conversation_id": f"HD-{number}",
        "batch": 1,
        "source": "helpdesk",
        "started_at": datetime(2025, 3, 1, tzinfo=UTC),
        "customer_keys": [hashlib.sha256(str(number).encode()).hexdigest()],
        "language": "en",
        "turns": turns,
        "entities": find(turns),
        "intent": f"intent-{number % 2}",
        "intent_source": "log",
        "intent_confidence": 1.0,
        "family": f"f-{number}",
        "split": "train" if number < 62 else "validation" if number < 68 else "test",
        "metadata": {"channel": "mail"},
    }


def _window(row: dict[str, Any]) -> dict[str, Any]:
    names = ("conversation_id", "batch", "family", "split", "intent")
    return {
        **{name: row[name] for name in names},
        "row_id": row["conversation_id"],
        "repeats": 1,
        "weight": 1.0,
        "input_ids": [5, 6, 7, 8],
        "labels": [-100, -100, 7, 8],
        "supervised_tokens": 2,
        "supervised_bytes": 9,
    }

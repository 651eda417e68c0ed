"""Read a conversation from a record: roles, times and known personal values.

A malformed record yields a reason instead. An invalid value in an optional field counts as absent.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.ingest.config import IngestConfig, SourceConfig, paths_of
from tasks.ingest.identity import customer_keys, is_plain, scalar
from tasks.ingest.record import Record, dump, getter, lookup

# Role in the source -> (our role, whether its turns are supervised).
ROLES = {
    **dict.fromkeys(("customer", "user", "human", "client", "visitor", "end_user", "requester"), ("customer", False)),
    **dict.fromkeys(("agent", "assistant", "bot", "support", "gpt", "chatgpt", "operator", "rep"), ("agent", True)),
    **dict.fromkeys(("note", "internal", "internal_note"), ("system", False)),
    **dict.fromkeys(("system", "developer", "action", "tool", "function", "event"), ("system", False)),
    **dict.fromkeys(("function_call", "tool_call", "observation", "tool_response"), ("system", False)),
}
ENTITY_TYPES = {
    **dict.fromkeys(("name", "full_name", "first_name", "last_name", "person_name", "customer_name"), "PERSON"),
    **dict.fromkeys(("other_person_name", "contact_name", "patient_name"), "PERSON"),
    **dict.fromkeys(("email", "email_address", "e_mail", "mail"), "EMAIL_ADDRESS"),
    **dict.fromkeys(("phone", "phone_number", "mobile", "telephone"), "PHONE_NUMBER"),
    **dict.fromkeys(("card", "card_number", "credit_card"), "CREDIT_CARD"),
    **dict.fromkeys(("iban", "iban_code"), "IBAN_CODE"),
    **dict.fromkeys(("ssn", "us_ssn"), "US_SSN"),
    **dict.fromkeys(("ip", "ip_address"), "IP_ADDRESS"),
    **dict.fromkeys(("address", "street_address", "full_address", "street"), "ADDRESS"),
    **dict.fromkeys(("zip", "zip_code", "postcode", "postal_code"), "ZIP_CODE"),
    **dict.fromkeys(("username", "user_name", "login"), "USERNAME"),
    **dict.fromkeys(("account", "account_id", "account_number"), "ACCOUNT_NUMBER"),
    **dict.fromkeys(("dob", "birth_date", "date_of_birth"), "DATE_OF_BIRTH"),
    **dict.fromkeys(("order", "order_id", "order_number"), "ORDER_ID"),
}
AMBIGUOUS = frozenset(["name", "order", "account"])  # in a record; unambiguous in its `customer`
USUAL_IDS = ("conversation_id", "id")  # fields of a conversation's id if the source declares none
NO_INTENT = frozenset(["", "none", "null", "nan"])
EPOCH_TEXT = re.compile(r"-?[0-9]{9,19}([.][0-9]*)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reader:
    """Reads the records of one source; prepares everything that depends only on the config."""

    def __init__(self, source: SourceConfig, config: IngestConfig, key: bytes) -> None:
        columns, customer = source.columns, source.customer
        self.source, self.key, self.max_turns = source, key, config.max_turns
        self.roles = ROLES | {name.strip().casefold(): (role, role == "agent") for name, role in config.roles.items()}
        self.role, self.text = getter((columns.role or "role",)), getter((columns.text or "text",))
        self.at = getter((columns.at,) if columns.at else ("at", "ts", "timestamp"))
        self.id = getter((columns.conversation_id,) if columns.conversation_id else USUAL_IDS)
        self.intent = getter((columns.intent,) if columns.intent else ("intent", "subflow"))
        self.rating = getter((columns.rating or "rating",))
        started = (columns.started_at,) if columns.started_at else ("started_at", "created_at")
        self.started_at = getter((*started, columns.at) if columns.at else started)
        self.customer = {
            "id": paths_of(customer.id) or ("customer.id", "customer_id"),
            "email": paths_of(customer.email) or ("customer.email", "email"),
            "phone": paths_of(customer.phone) or ("customer.phone", "phone"),
        }

    def read(self, record: Record) -> dict[str, Any] | str:
        """Return the conversation without `row_id` and `conversation_id`, or the reason for its rejection.

        Its `source_id` is the source's own id, empty if there is none.

        Args:
            record: with its turns, see `tasks.ingest.formats.with_turns`.
        """
        value = record.value or {}
        turns = self._turns(record.turns or [])
        if isinstance(turns, str):
            return turns
        intent = _label(self.intent(value))
        who = self.customers(value)
        started_at = moment(self.started_at(value)) or next((turn["at"] for turn in turns if turn["at"]), None)
        return {
            "source_id": scalar(self.id(value)),
            "source": _source_name(value.get("source")),
            "started_at": started_at,
            "customer_keys": customer_keys(who, self.key),
            "turns": turns,
            "intent": intent,
            "rating": number(self.rating(value)),
            "metadata": {
                path: text for path in self.source.metadata if (text := _as_text(lookup(value, path))) is not None
            },
            "known": known_values(value, self.source.known, who, record.known),
        }

    def customers(self, value: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return (kind, text) of a record's customer: its ids, e-mail addresses and phone numbers."""
        return [
            (kind, text)
            for kind, paths in self.customer.items()
            for path in paths
            for text in texts(lookup(value, path))
        ]

    def unknown_roles(self, record: Record) -> list[str]:
        """Return the undeclared roles of a record's turns, as written."""
        roles = [self.role(turn) for turn in record.turns or [] if isinstance(turn, dict)]
        return [role for role in roles if isinstance(role, str) and self._role(role) == "unknown_role"]

    def known_roles(self, record: Record) -> list[str]:
        """Return our roles for the declared roles of a record's turns."""
        roles = [self._role(self.role(turn)) for turn in record.turns or [] if isinstance(turn, dict)]
        return [role[0] for role in roles if not isinstance(role, str)]

    def _turns(self, raw: list[Any]) -> list[dict[str, Any]] | str:
        if len(raw) > self.max_turns:
            return "too_many_turns"
        turns, has_text = [], False
        for turn in raw:
            if not isinstance(turn, dict):
                return "bad_turns"
            theirs, text = self.role(turn), self.text(turn)
            role = self._role(theirs)
            if isinstance(role, str):
                return role
            if not isinstance(text, str):
                return "bad_turns"
            filled = bool(text) and not text.isspace()
            has_text = has_text or filled
            supervise = role[1] and filled and turn.get("supervise") is not False
            turns.append({"role": role[0], "text": text, "at": moment(self.at(turn)), "supervise": supervise})
        return turns if has_text else "empty_conversation"

    def _role(self, theirs: object) -> tuple[str, bool] | str:
        if isinstance(theirs, str):
            return self.roles.get(theirs) or self.roles.get(theirs.strip().casefold()) or "unknown_role"
        return "unknown_role" if theirs is None else "bad_turns"


def known_values(
    value: dict[str, Any],
    declared: str | dict[str, Any] | None,
    who: Iterable[tuple[str, str]],
    extra: Mapping[str, list[str]],
) -> dict[str, list[str]]:
    """Collect the values that the source declares as personal: entity type -> distinct values in order.

    The customer's own e-mail address, phone number and id always count. Without a declaration, the usual fields of the
    record and of its `customer` do as well, and all of `known` and `known_pii`.

    Args:
        who: (kind, text) of the customer, see `Reader.customers`.
        extra: entity type -> values that the format provides.
    """
    names = {"id": "CUSTOMER_ID", "email": "EMAIL_ADDRESS", "phone": "PHONE_NUMBER"}
    # With a short number as an id, every "12" of a conversation would become a placeholder.
    pairs = [(names[kind], text) for kind, text in who if kind != "id" or len(text) >= 6]
    if isinstance(declared, dict):
        pairs += _typed((name, lookup(value, path)) for name, paths in declared.items() for path in paths_of(paths))
    elif declared is not None:
        pairs += _typed(_items(lookup(value, declared)))
    else:
        for fields in (value.get("known"), value.get("known_pii")):
            pairs += _typed(_items(fields))
        pairs += _typed(_plain_fields(value, ENTITY_TYPES.keys() - AMBIGUOUS))
        pairs += _typed(_plain_fields(value.get("customer"), ENTITY_TYPES.keys()))
    pairs += [(name, text) for name, values in extra.items() for text in values]
    distinct: dict[str, dict[str, None]] = {}
    for name, text in pairs:
        distinct.setdefault(name, {})[text] = None
    return {name: list(values) for name, values in distinct.items()}


def moment(value: object) -> datetime | None:
    """Parse a time as UTC: ISO 8601 (naive means UTC), or seconds, milli-, micro- or nanoseconds since 1970."""
    try:
        if isinstance(value, str):
            text = value.strip()
            if not EPOCH_TEXT.fullmatch(text):
                parsed = datetime.fromisoformat(text)
                return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
            value = float(text)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        for _ in range(3):
            if abs(value) >= 1e11:  # the year 5138 in seconds, March 1973 in milliseconds
                value /= 1000
        return EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        return None


def number(value: object) -> float | None:
    """Parse a finite number, also from text; None for anything else."""
    try:
        parsed = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return parsed if abs(parsed) < 3e38 else None


def texts(value: object) -> Iterator[str]:
    """Yield the strings and numbers in a value, including those inside lists and objects."""
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, dict | list):
            stack += reversed(list(part.values()) if isinstance(part, dict) else part)
        elif text := scalar(part):
            yield text


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _plain_fields(value: object, names: Set[str]) -> list[tuple[str, Any]]:
    """Return the fields with these names, without objects and nested lists, which may hold anything."""
    cells = (
        (name, cell if isinstance(cell, list) else [cell]) for name, cell in _items(value) if name.lower() in names
    )
    return [(name, [part for part in cell if not isinstance(part, dict | list)]) for name, cell in cells]


def _typed(fields: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(_entity_type(name), text) for name, value in fields for text in texts(value)]


def _entity_type(name: str) -> str:
    """Return a field's entity type in capitals and underscores; OTHER for a long name, which may itself be data."""
    plain = re.sub(r"[^A-Z]+", "_", name.upper()).strip("_")
    return ENTITY_TYPES.get(plain.lower()) or (plain if 0 < len(plain) <= 30 else "OTHER")


def _label(value: object) -> str | None:
    """Return an intent; None for values like a sentence, an address or a number, because labels are never scrubbed."""
    text = value.strip() if isinstance(value, str) else ""
    is_label = len(text) <= 80 and "@" not in text and sum(map(str.isdigit, text)) < 7 and text.isprintable()
    return text if is_label and text.lower() not in NO_INTENT else None


def _source_name(value: object) -> str | None:
    """Return the record's own `source` if it is a plain word, because it stays readable in the clean zone."""
    return value if isinstance(value, str) and is_plain(value) else None


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return dump(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)

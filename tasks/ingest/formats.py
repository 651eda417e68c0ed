"""Convert the fields of a record to raw turns, with one function per format.

The fields of a turn keep the names that the source declares (`columns.role`, `columns.text`); they are read later.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tasks.ingest.config import Columns, SourceConfig
from tasks.ingest.record import ODD_VALUE, Person, Record, lookup
from tasks.ingest.zendesk import is_ticket, ticket_record

Turns = list[Any] | str  # unchecked turns, or the reason for rejecting the record


def with_turns(record: Record, source: SourceConfig, users: Mapping[str, Person]) -> Record:
    """Return the record with its turns or the reason for its rejection; unchanged if it has either.

    With `auto`, and with formats of files (`csv`, `parquet`), the fields of each record decide.

    Args:
        users: the users of the source, by id (Zendesk).
    """
    if record.reason is not None or record.turns is not None or record.value is None:
        return record
    declared = source.format in FORMATS or source.format == "zendesk"
    format: str = source.format if declared else recognise(record.value, source.columns) or "instructions"
    try:
        if format == "zendesk":
            return ticket_record(record, source.columns, users)
        turns = FORMATS[format](record.value, source)
    except ODD_VALUE:
        return record._replace(reason="bad_cell")
    return record._replace(reason=turns) if isinstance(turns, str) else record._replace(turns=turns)


def recognise(value: Mapping[str, Any], columns: Columns) -> str | None:
    """Recognise the format of a record by its fields; None if none fits.

    `instruction` comes before `context`, because in instruction data the context is material to work on, not dialogue.
    """
    if lookup(value, columns.turns or "turns") is not None:
        return "conversations"
    if value.get("messages") is not None:
        return "openai"
    if _is_sharegpt(value.get("conversations")):
        return "sharegpt"
    if is_ticket(value):
        return "zendesk"
    if lookup(value, columns.instruction or "instruction") is not None:
        return "instructions"
    has_context = _latest_context(value, columns) is not None
    return "context_response" if has_context and lookup(value, columns.response or "response") is not None else None


def conversations(value: dict[str, Any], source: SourceConfig) -> Turns:
    """Read `{"turns": [{"role", "text", "at"}]}`."""
    return _list(lookup(value, source.columns.turns or "turns"))


def openai(value: dict[str, Any], source: SourceConfig) -> Turns:
    """Read `{"messages": [{"role", "content"}]}` (OpenAI's fine-tuning format); weight 0 masks a message."""
    messages = _list(lookup(value, source.columns.turns or "messages"))
    return messages if isinstance(messages, str) else [_message(message, source.columns) for message in messages]


def sharegpt(value: dict[str, Any], source: SourceConfig) -> Turns:
    """Read `{"conversations": [{"from", "value"}]}` with the flags of training tools: weight, loss and train."""
    columns = source.columns
    messages = _list(lookup(value, columns.turns or "conversations"))
    if isinstance(messages, str):
        return messages
    roles = (columns.role,) if columns.role else ("from", "role")
    texts = (columns.text,) if columns.text else ("value", "content", "text")
    role, text = columns.role or "role", columns.text or "text"
    turns: list[Any] = []
    for message in messages:
        if isinstance(message, dict):
            masked = any(message.get(flag) in (0, False) for flag in ("weight", "loss", "train"))
            fields = {
                role: next((message[name] for name in roles if message.get(name) is not None), None),
                text: next((message[name] for name in texts if message.get(name) is not None), None),
                "supervise": False if masked else message.get("supervise"),
            }
            turns.append({**message, **fields})
        else:
            turns.append(message)
    system = value.get("system")
    return [{role: "system", text: system}, *turns] if isinstance(system, str) and system.strip() else turns


def instructions(value: dict[str, Any], source: SourceConfig) -> Turns:
    """Read `{"instruction", "response"}`."""
    columns = source.columns
    instruction, response = columns.instruction or "instruction", columns.response or "response"
    return pair(lookup(value, instruction), lookup(value, response), columns)


def context_response(value: dict[str, Any], source: SourceConfig) -> Turns:
    """Read `{"context": [...], "response"}`: speakers alternate, and the customer speaks last before the response.

    The context is a list, a text (of several turns if `separators` are declared), or `context` with `context/0`,
    `context/1` and so on going back in time (https://github.com/PolyAI-LDN/conversational-datasets). Only the response
    is supervised, because each earlier turn of the agent is the response of another row.
    """
    columns = source.columns
    context, response = _latest_context(value, columns), lookup(value, columns.response or "response")
    if not context:
        return "no_turns"
    turn, *inner = source.separators or ("",)
    if isinstance(context, str):
        context = [part for part in context.split(turn) if part.strip()] if turn else [context]
    earlier = _earlier_contexts(value, columns)
    texts = [*(earlier or []), *context, response] if isinstance(context, list) else []
    while texts and texts[0] in (None, ""):  # some exports pad lists at the front to one length
        del texts[0]
    if earlier is None or not texts or not all(isinstance(text, str) for text in texts):
        return "bad_turns"
    for separator in filter(None, (turn, *inner)):
        texts = [text.replace(separator, "\n").strip() for text in texts]
    role, text = columns.role or "role", columns.text or "text"
    last = len(texts) - 1
    return [
        {role: "agent" if (last - index) % 2 == 0 else "customer", text: words, "supervise": index == last}
        for index, words in enumerate(texts)
    ]


def pair(customer: object, agent: object, columns: Columns) -> Turns:
    """Build a customer's and an agent's turn from an instruction and its response."""
    if customer is None and agent is None:
        return "no_turns"
    role, text = columns.role or "role", columns.text or "text"
    return [{role: "customer", text: customer}, {role: "agent", text: agent}]


FORMATS: dict[str, Callable[[dict[str, Any], SourceConfig], Turns]] = {
    "conversations": conversations,
    "openai": openai,
    "sharegpt": sharegpt,
    "instructions": instructions,
    "context_response": context_response,
}


def _list(cell: Any) -> Turns:
    if cell is None or cell == []:
        return "no_turns"
    return cell if isinstance(cell, list) else "bad_turns"


def _is_sharegpt(cell: Any) -> bool:
    """Tell the messages of one conversation from a list of whole conversations under the same name."""
    first = cell[0] if isinstance(cell, list) and cell else None
    is_conversation = isinstance(first, dict) and {"from", "role", "value", "content"}.isdisjoint(first)
    return cell is not None and not is_conversation


def _latest_context(value: Mapping[str, Any], columns: Columns) -> Any:
    """Return the turn right before the response, or the whole context."""
    name = columns.context or "context"
    context = lookup(value, name)
    return context if context is not None else value.get(f"{name}/0")


def _earlier_contexts(value: Mapping[str, Any], columns: Columns) -> list[str] | None:
    """Return the numbered contexts before the latest one, oldest first; None if there is a gap."""
    name = columns.context or "context"
    suffixes = [key.removeprefix(f"{name}/") for key in value if key.startswith(f"{name}/") and value[key]]
    start = 0 if lookup(value, name) is not None else 1
    numbers = sorted(int(suffix) for suffix in suffixes if suffix.isdecimal() and int(suffix) >= start)
    if numbers != list(range(start, start + len(numbers))):
        return None
    return [value[f"{name}/{number}"] for number in reversed(numbers)]


def _message(message: Any, columns: Columns) -> Any:
    """Convert an OpenAI chat message to a turn of its text parts; a bare tool call becomes a turn without text."""
    if not isinstance(message, dict):
        return message
    content, role = lookup(message, columns.text or "content"), lookup(message, columns.role or "role")
    if isinstance(content, list):
        parts: list[Any] = [
            part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else 0 for part in content
        ]
        junk = any(not isinstance(part, str | None) for part in parts)
        content = None if junk else "\n".join(part for part in parts if part)
    elif content is None and (message.get("tool_calls") or message.get("function_call")):
        content, role = "", "tool"
    supervise = False if message.get("weight") == 0 else None
    return {columns.role or "role": role, columns.text or "text": content, "supervise": supervise}

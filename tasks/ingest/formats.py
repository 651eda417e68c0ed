"""One format a function: from the fields of a record to its raw turns.

The names of a turn's fields stay as the source declares them (`columns.role`, `columns.text`): they are read later.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tasks.ingest.config import Columns, SourceConfig
from tasks.ingest.record import ODD_VALUE, Person, Record, lookup
from tasks.ingest.zendesk import is_ticket, ticket_record

Turns = list[Any] | str  # the turns before they are checked, or the reason why there are none


def with_turns(record: Record, source: SourceConfig, users: Mapping[str, Person]) -> Record:
    """The record with its turns, or with the reason why it has none; as it is where both are known already.

    `auto`, and a format that says only how the file is written, go by the fields of each record.

    Args:
        users: the users of the source, by id (Zendesk).
    """
    if record.reason is not None or record.turns is not None or record.value is None:
        return record
    declared = source.format in FORMATS or source.format == "zendesk"
    found = None if declared else recognise(record.value, source.columns)
    format: str = source.format if declared else found or "instructions"
    try:
        if format == "zendesk":
            return ticket_record(record, source.columns, users)
        turns = FORMATS[format](record.value, source)
    except ODD_VALUE:
        return record._replace(reason="bad_cell")
    return record._replace(reason=turns) if isinstance(turns, str) else record._replace(turns=turns)


def recognise(value: Mapping[str, Any], columns: Columns) -> str | None:
    """The format of a record by its fields, None where none fits.

    `instruction` comes before `context`: in instruction data a context is a text to work on, not what was said.
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
    """`{"turns": [{"role", "text", "at"}]}`, the turns as they are."""
    return _list(lookup(value, source.columns.turns or "turns"))


def openai(value: dict[str, Any], source: SourceConfig) -> Turns:
    """`{"messages": [{"role", "content"}]}`; weight 0 keeps a message out of the loss (OpenAI's fine-tuning format)."""
    found = _list(lookup(value, source.columns.turns or "messages"))
    return found if isinstance(found, str) else [_message(turn, source.columns) for turn in found]


def sharegpt(value: dict[str, Any], source: SourceConfig) -> Turns:
    """`{"conversations": [{"from", "value"}]}`, with the flags that trainers put on a message: weight, loss, train."""
    columns = source.columns
    found = _list(lookup(value, columns.turns or "conversations"))
    if isinstance(found, str):
        return found
    roles = (columns.role,) if columns.role else ("from", "role")
    texts = (columns.text,) if columns.text else ("value", "content", "text")
    role, text = columns.role or "role", columns.text or "text"
    turns: list[Any] = []
    for message in found:
        if isinstance(message, dict):
            flagged = any(message.get(flag) in (0, False) for flag in ("weight", "loss", "train"))
            said = {
                role: next((message[name] for name in roles if message.get(name) is not None), None),
                text: next((message[name] for name in texts if message.get(name) is not None), None),
                "supervise": False if flagged else message.get("supervise"),
            }
            turns.append({**message, **said})
        else:
            turns.append(message)
    system = value.get("system")
    return [{role: "system", text: system}, *turns] if isinstance(system, str) and system.strip() else turns


def instructions(value: dict[str, Any], source: SourceConfig) -> Turns:
    """`{"instruction", "response"}`."""
    columns = source.columns
    instruction, response = columns.instruction or "instruction", columns.response or "response"
    return pair(lookup(value, instruction), lookup(value, response), columns)


def context_response(value: dict[str, Any], source: SourceConfig) -> Turns:
    """`{"context": [...], "response"}`: speakers alternate, and the customer speaks last before the response.

    The context is a list, a text (of several turns where `separators` are declared), or `context` with `context/0`,
    `context/1` and so on going back in time (https://github.com/PolyAI-LDN/conversational-datasets). Only the response
    is supervised: what an agent said before it is the response of another row.
    """
    columns = source.columns
    context, response = _latest_context(value, columns), lookup(value, columns.response or "response")
    if not context:
        return "no_turns"
    turn, *inner = source.separators or ("",)
    if isinstance(context, str):
        context = [part for part in context.split(turn) if part.strip()] if turn else [context]
    earlier = _earlier_contexts(value, columns)
    said = [*(earlier or []), *context, response] if isinstance(context, list) else []
    while said and said[0] in (None, ""):  # lists of one length are padded in front
        del said[0]
    if earlier is None or not said or not all(isinstance(text, str) for text in said):
        return "bad_turns"
    for separator in filter(None, (turn, *inner)):
        said = [text.replace(separator, "\n").strip() for text in said]
    role, text = columns.role or "role", columns.text or "text"
    last = len(said) - 1
    return [
        {role: "agent" if (last - index) % 2 == 0 else "customer", text: words, "supervise": index == last}
        for index, words in enumerate(said)
    ]


def pair(customer: object, agent: object, columns: Columns) -> Turns:
    """Instruction and response as a customer's and an agent's turn."""
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


def _list(found: Any) -> Turns:
    if found is None or found == []:
        return "no_turns"
    return found if isinstance(found, list) else "bad_turns"


def _is_sharegpt(found: Any) -> bool:
    """Whether these are the messages of one conversation, not a list of conversations under the same name."""
    first = found[0] if isinstance(found, list) and found else None
    whole = isinstance(first, dict) and {"from", "role", "value", "content"}.isdisjoint(first)
    return found is not None and not whole


def _latest_context(value: Mapping[str, Any], columns: Columns) -> Any:
    """What was said right before the response, or the whole context."""
    found = lookup(value, columns.context or "context")
    return found if found is not None else value.get(f"{columns.context or 'context'}/0")


def _earlier_contexts(value: Mapping[str, Any], columns: Columns) -> list[str] | None:
    """The numbered contexts before the latest one, oldest first; None where one between them is missing."""
    name = columns.context or "context"
    numbers = [key.removeprefix(f"{name}/") for key in value if key.startswith(f"{name}/") and value[key]]
    start = 0 if lookup(value, name) is not None else 1
    wanted = sorted(int(number) for number in numbers if number.isdecimal() and int(number) >= start)
    return (
        [value[f"{name}/{number}"] for number in reversed(wanted)]
        if wanted == list(range(start, start + len(wanted)))
        else None
    )


def _message(message: Any, columns: Columns) -> Any:
    """An OpenAI chat message as a turn: only parts that are text; a bare tool call is an event without text."""
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

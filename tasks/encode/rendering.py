"""Render the turns of a conversation as text for a model, and mark the supervised parts of that text (P9).

This supports any Hugging Face chat template that frames a turn identically at every position and opens an agent's turn
with its generation prompt. Segments are tokenized separately, so that no token crosses the border of the label mask and
a prompt at generation time has the same tokens as in training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from deskloop.contract.errors import DeskloopError

ROLES = {"customer": "user", "agent": "assistant", "system": "system"}
TAGS = {"user": "<|customer|>", "assistant": "<|agent|>", "system": "<|system|>"}

# For tokenizers without a template, such as GPT-2's. Every turn ends with the end-of-sequence token, at which every
# generator stops by default.
DEFAULT_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|customer|>' if message['role'] == 'user' else '<|agent|>' if message['role'] == 'assistant'"
    " else '<|system|>' -}}{{- message['content'] -}}{{- eos_token -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|agent|>' -}}{%- endif -%}"
)

# Private-use characters, which no template contains or strips.
_CUSTOMER, _AGENT, _SYSTEM, _LATER = "\ue000", "\ue001", "\ue002", "\ue003"


@dataclass(frozen=True)
class Segment:
    """A part of a rendered conversation.

    Attributes:
        text: never empty.
        supervised: included in the loss: a supervised agent turn's text, or its stop token.
        turn: index of its turn; None before the first one.
        written: the text of a turn, in which nothing is parsed as a special token; false for the template's marks.
    """

    text: str
    supervised: bool
    turn: int | None
    written: bool


@dataclass(frozen=True)
class Frames:
    """The text that a template puts around turns.

    Attributes:
        header: before the first turn, unless it is a system turn.
        around: role (Hugging Face's) -> text before and after its content.
        first_system: text before and after the content of a system turn that comes first; None if not supported.
        stop: the end of an agent's turn; a prefix of `around["assistant"][1]`.
    """

    header: str
    around: Mapping[str, tuple[str, str]]
    first_system: tuple[str, str] | None
    stop: str


def segments(tokenizer: Any, turns: Sequence[Mapping[str, Any]], reply: bool = False) -> list[Segment]:
    """Split a rendered conversation into supervised and masked segments.

    Args:
        tokenizer: a Hugging Face tokenizer with a chat template; its `name_or_path` is the base's name in errors.
        turns: `{"role", "text", "supervise"?}`; not modified. `supervise` defaults to false.
        reply: end with the generation prompt, for the agent's next turn.
    Returns:
        Segments whose concatenated texts equal `apply_chat_template(..., add_generation_prompt=reply)`.
    Raises:
        DeskloopError: the template does not support the order of the turns, or frames a turn depending on its position.
    """
    frames = frames_of(tokenizer)
    messages = [{"role": ROLES[turn["role"]], "content": turn["text"]} for turn in turns]
    rendered = render(tokenizer, messages, reply)
    for trim in (False, True):  # many templates strip the content
        result = _assemble(frames, turns, trim, reply)
        if "".join(segment.text for segment in result) == rendered:
            return result
    raise _unusable(tokenizer, "renders a turn depending on its position, or changes its text")


def token_ids(tokenizer: Any, parts: Sequence[Segment]) -> list[list[int]]:
    """Return the token ids of each segment; special tokens are parsed in the template's marks only, not in written
    text."""
    result: list[list[int]] = [[] for _ in parts]
    for written in (False, True):
        places = [place for place, part in enumerate(parts) if part.written == written]
        if not places:
            continue
        encoded = tokenizer(
            [parts[place].text for place in places],
            add_special_tokens=False,
            split_special_tokens=written,
            return_attention_mask=False,
        )
        for place, ids in zip(places, encoded["input_ids"], strict=True):
            result[place] = ids
    return result


def stop_ids(tokenizer: Any) -> list[int]:
    """Return the token ids that end an agent's turn."""
    return token_ids(tokenizer, [Segment(frames_of(tokenizer).stop, True, None, False)])[0]


def render(tokenizer: Any, messages: Sequence[Mapping[str, str]], reply: bool = False) -> str:
    """Render messages with `apply_chat_template`, as text.

    Raises:
        DeskloopError: the template does not support these messages.
    """
    from jinja2.exceptions import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=reply)
    except TemplateError:
        roles = ", ".join(message["role"] for message in messages[:6])
        raise _unusable(tokenizer, f"does not support conversations whose first roles are {roles}") from None
    return text


def frames_of(tokenizer: Any) -> Frames:
    """Determine the frames of this tokenizer's template by rendering probes; cached.

    Raises:
        DeskloopError: there is no template, or its frames are not fixed.
    """
    if tokenizer.chat_template is None:
        raise _unusable(tokenizer, "is missing")
    return _probe(tokenizer, str(tokenizer.chat_template))


@lru_cache(maxsize=8)
def _probe(tokenizer: Any, template: str) -> Frames:
    customer, agent = {"role": "user", "content": _CUSTOMER}, {"role": "assistant", "content": _AGENT}
    system, later = {"role": "system", "content": _SYSTEM}, {"role": "user", "content": _LATER}
    opening, pair = render(tokenizer, [customer]), render(tokenizer, [customer, agent])
    three = render(tokenizer, [customer, agent, later])
    if not (pair.startswith(opening) and three.startswith(pair)):
        raise _unusable(tokenizer, "changes earlier turns when another is added")
    prompt = render(tokenizer, [customer], reply=True)[len(opening) :]
    try:
        around = {"user": _split(three[len(pair) :], _LATER), "assistant": _split(pair[len(opening) :], _AGENT)}
        if around["assistant"][0] != prompt:
            raise _unusable(tokenizer, "opens an agent's turn in training differently than for generation")
        header = opening.removesuffix(around["user"][0] + _CUSTOMER + around["user"][1])
        if header == opening:
            raise _unusable(tokenizer, "frames the first turn differently from later ones")
        first_system = _first_system(tokenizer, around["user"][0])
    except ValueError:
        raise _unusable(tokenizer, "drops or changes the text of a turn") from None
    try:
        around["system"] = _split(render(tokenizer, [customer, agent, system])[len(pair) :], _SYSTEM)
    except (DeskloopError, ValueError):
        around["system"] = ("", "")  # rendering fails for a conversation with a system turn
    after = around["assistant"][1]
    if not after:
        raise _unusable(tokenizer, "has no mark for the end of an agent's turn")
    return Frames(header, around, first_system, after.rstrip() or after)


def _first_system(tokenizer: Any, before_customer: str) -> tuple[str, str] | None:
    system, customer = {"role": "system", "content": _SYSTEM}, {"role": "user", "content": _CUSTOMER}
    try:
        before, after = _split(render(tokenizer, [system, customer]), _SYSTEM)
        return before, after[: after.index(before_customer + _CUSTOMER)]
    except (DeskloopError, ValueError):
        return None


def _split(text: str, mark: str) -> tuple[str, str]:
    place = text.index(mark)
    return text[:place], text[place + len(mark) :]


def _assemble(frames: Frames, turns: Sequence[Mapping[str, Any]], trim: bool, reply: bool) -> list[Segment]:
    system_first = bool(turns) and turns[0]["role"] == "system"
    result = [] if system_first else [Segment(frames.header, False, None, False)]
    for index, turn in enumerate(turns):
        role = ROLES[turn["role"]]
        before, after = frames.around[role]
        if system_first and index == 0 and frames.first_system is not None:
            before, after = frames.first_system
        text = turn["text"].strip() if trim else turn["text"]
        supervised = role == "assistant" and bool(turn.get("supervise"))
        stop = frames.stop if role == "assistant" else ""
        result += [
            Segment(before, False, index, False),
            Segment(text, supervised, index, True),
            Segment(stop, supervised, index, False),
            Segment(after[len(stop) :], False, index, False),
        ]
    if reply:
        result.append(Segment(frames.around["assistant"][0], False, len(turns), False))
    return [segment for segment in result if segment.text]


def _unusable(tokenizer: Any, problem: str) -> DeskloopError:
    return DeskloopError(
        f"the chat template of base {tokenizer.name_or_path or 'model'!r} cannot be used: it {problem}. Use a base "
        f"whose template frames every turn identically (ChatML or Llama-3 style), or a local copy of this base without "
        f"a chat_template, for which deskloop uses its own."
    )

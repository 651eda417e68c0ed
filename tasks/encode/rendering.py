"""How the turns of a conversation become text for a model, and which of that text the loss may see (P9).

Any Hugging Face chat template will do that frames a turn the same way wherever it stands, and opens an agent's turn
with its generation prompt. Tokens are made segment by segment, so that none straddles the border of the label mask
and a prompt at generation time has the very tokens that training saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from deskloop.contract.errors import DeskloopError

ROLES = {"customer": "user", "agent": "assistant", "system": "system"}
TAGS = {"user": "<|customer|>", "assistant": "<|agent|>", "system": "<|system|>"}

# For tokenizers without a template (GPT-2 class). The end of every turn is the end-of-sequence token, which
# every generator stops at without being told.
DEFAULT_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|customer|>' if message['role'] == 'user' else '<|agent|>' if message['role'] == 'assistant'"
    " else '<|system|>' -}}{{- message['content'] -}}{{- eos_token -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|agent|>' -}}{%- endif -%}"
)

# Private-use characters: no template has them, and none strips them.
_CUSTOMER, _AGENT, _SYSTEM, _LATER = "\ue000", "\ue001", "\ue002", "\ue003"


@dataclass(frozen=True)
class Segment:
    """A stretch of a rendered conversation.

    Attributes:
        text: never empty.
        supervised: the loss sees it: a supervised agent turn's text, or its stop token.
        turn: index of the turn it belongs to; None for what precedes the first one.
        written: somebody's words, in which nothing is read as a special token; false for the template's own marks.
    """

    text: str
    supervised: bool
    turn: int | None
    written: bool


@dataclass(frozen=True)
class Frames:
    """What a template puts around turns.

    Attributes:
        header: before a first turn that is not a system turn.
        around: role (Hugging Face's) -> text before and after its content.
        first_system: text before and after the content of a system turn that comes first; None where refused.
        stop: what ends an agent's turn; a prefix of `around["assistant"][1]`.
    """

    header: str
    around: Mapping[str, tuple[str, str]]
    first_system: tuple[str, str] | None
    stop: str


def segments(tokenizer: Any, turns: Sequence[Mapping[str, Any]], reply: bool = False) -> list[Segment]:
    """Cut a rendered conversation into what the loss sees and what it does not.

    Args:
        tokenizer: a Hugging Face tokenizer with a chat template; its `name_or_path` names the base in errors.
        turns: `{"role", "text", "supervise"?}`; not modified. `supervise` defaults to false.
        reply: end with the generation prompt, for the agent's next turn.
    Returns:
        Segments whose texts add up to exactly `apply_chat_template(..., add_generation_prompt=reply)`.
    Raises:
        DeskloopError: the template refuses the order of the turns, or frames a turn differently by its place.
    """
    frames = frames_of(tokenizer)
    messages = [{"role": ROLES[turn["role"]], "content": turn["text"]} for turn in turns]
    rendered = render(tokenizer, messages, reply)
    for trim in (False, True):  # many templates strip the content
        result = _assemble(frames, turns, trim, reply)
        if "".join(segment.text for segment in result) == rendered:
            return result
    raise _unusable(tokenizer, "renders a turn differently by its place or changes its text")


def token_ids(tokenizer: Any, parts: Sequence[Segment]) -> list[list[int]]:
    """Token ids of each segment; special tokens are recognised in the template's marks only, never in written text."""
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
    """Token ids of what ends an agent's turn."""
    return token_ids(tokenizer, [Segment(frames_of(tokenizer).stop, True, None, False)])[0]


def render(tokenizer: Any, messages: Sequence[Mapping[str, str]], reply: bool = False) -> str:
    """`apply_chat_template` as text.

    Raises:
        DeskloopError: the template refuses these messages.
    """
    from jinja2.exceptions import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=reply)
    except TemplateError:
        roles = ", ".join(message["role"] for message in messages[:6])
        raise _unusable(tokenizer, f"refuses conversations whose roles begin {roles}") from None
    return text


def frames_of(tokenizer: Any) -> Frames:
    """What this tokenizer's template puts around turns, found by rendering probes once.

    Raises:
        DeskloopError: no template, or one that does not keep to fixed frames.
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
        raise _unusable(tokenizer, "changes earlier turns when one is added")
    prompt = render(tokenizer, [customer], reply=True)[len(opening) :]
    try:
        around = {"user": _split(three[len(pair) :], _LATER), "assistant": _split(pair[len(opening) :], _AGENT)}
        if around["assistant"][0] != prompt:
            raise _unusable(tokenizer, "opens an agent's turn in training otherwise than for generation")
        header = opening.removesuffix(around["user"][0] + _CUSTOMER + around["user"][1])
        if header == opening:
            raise _unusable(tokenizer, "frames the first turn unlike later ones")
        first_system = _first_system(tokenizer, around["user"][0])
    except ValueError:
        raise _unusable(tokenizer, "drops or changes the text of a turn") from None
    try:
        around["system"] = _split(render(tokenizer, [customer, agent, system])[len(pair) :], _SYSTEM)
    except (DeskloopError, ValueError):
        around["system"] = ("", "")  # a conversation that has one will be refused when it is rendered
    after = around["assistant"][1]
    if not after:
        raise _unusable(tokenizer, "has nothing that ends an agent's turn")
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
        f"whose template frames every turn alike (ChatML or Llama-3 style), or a local copy of this base without its "
        f"chat_template, which then gets deskloop's own."
    )

"""The options of `evaluate`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, with_config
from typing_extensions import TypedDict

from deskloop.contract.stage import StageConfig


@with_config(ConfigDict(extra="forbid", hide_input_in_errors=True))
class Turn(TypedDict):
    """One turn of a prompt."""

    role: Literal["customer", "agent", "system"]
    text: Annotated[str, Field(min_length=1)]


Prompt = tuple[Turn, ...]


def _customer(text: str) -> tuple[Turn, ...]:
    return (Turn(role="customer", text=text),)


PROMPTS = (
    _customer("Hi, where is my order?"),
    _customer("I was charged twice. Can you help?"),
    _customer("How do I return something that I bought?"),
    _customer("I cannot log in to my account."),
)


class EvaluateConfig(StageConfig):
    """Config of `evaluate`."""

    prompts: tuple[Prompt, ...] = Field(
        PROMPTS, description="conversations to answer: lists of {role, text}, or just a customer's text"
    )
    max_new_tokens: int = Field(60, ge=1, le=4096, description="most tokens of a reply")
    temperature: float = Field(0.8, ge=0, le=5, description="sampling temperature; 0: always the likeliest token")
    top_k: int = Field(50, ge=0, description="sample from this many likeliest tokens; 0: from all")
    top_p: float = Field(0.95, gt=0, le=1, description="sample from the likeliest tokens with this total probability")
    no_repeat_ngram: int = Field(3, ge=0, description="length of token sequences that must not recur; 0: all may recur")

    resamples: int = Field(2000, ge=100, le=100_000, description="bootstrap samples of the test families per interval")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the intervals, two-sided")

    @field_validator("prompts", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        """Convert a plain text to a customer's turn."""
        if not isinstance(value, list | tuple):
            return value
        return [[{"role": "customer", "text": prompt}] if isinstance(prompt, str) else prompt for prompt in value]

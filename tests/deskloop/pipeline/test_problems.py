from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from deskloop.contract.stage import StageConfig
from deskloop.pipeline.problems import messages


class Circle(StageConfig):
    kind: Literal["circle"]
    radius: float = Field(1.0, gt=0)
    shade: str = "red"


class Square(StageConfig):
    kind: Literal["square"]
    width: float = 1.0


class Drawing(StageConfig):
    shapes: tuple[Annotated[Circle | Square, Field(discriminator="kind")], ...] = Field((), min_length=1)


def refused(options: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(options)
    return messages(caught.value, Drawing, options, "steps.draw")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"kind": "sqare"}, ".kind: unknown kind; did you mean 'square'?"),
        ({"kind": "jane@example.com"}, ".kind: unknown kind; available: circle, square"),
        ({"kind": 7}, ".kind: unknown kind; available: circle, square"),
        ({"kind": ["circle"]}, ".kind: unknown kind; did you mean 'circle'?"),
        ({}, ".kind: is required"),
        ({"radius": 3}, ".kind: is required"),
        ({"kind": "circle", "radus": 3}, ".radus: unknown key; did you mean 'radius'?"),
        ({"kind": "square", "radius": 3}, ".radius: unknown key; available: kind, width"),
        ({"kind": "circle", "radius": "big"}, ".radius: expected a number, found text"),
        ({"kind": "circle", "radius": -1}, ".radius: should be greater than 0"),
        ("circle", ": expected options, found text"),
        (None, ": expected options, found nothing"),
    ],
)
def test_one_of_several_kinds(shape: Any, expected: str) -> None:
    assert refused({"shapes": [{"kind": "circle"}, shape]}) == [f"steps.draw.shapes.1{expected}"]


def test_every_problem_has_its_line() -> None:
    shapes = [{"kind": "sqare", "radus": 1}, {"kind": "square", "widht": 1}, {"kind": "circle", "radius": "big"}]
    assert refused({"shapes": shapes}) == [
        "steps.draw.shapes.0.kind: unknown kind; did you mean 'square'?",
        "steps.draw.shapes.1.widht: unknown key; did you mean 'width'?",
        "steps.draw.shapes.2.radius: expected a number, found text",
    ]
    assert refused({"shapes": {"kind": "circle"}}) == ["steps.draw.shapes: expected a list, found a mapping"]

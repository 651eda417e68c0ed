"""The inputs of steps: defaults, declared inputs, and invalid ones."""

from pathlib import Path
from typing import Any

import pytest

from tests.deskloop.pipeline.test_load import INGEST, MODELS, STEPS, load, problems

MAILS: dict[str, Any] = {"stage": "ingest", "name": "mails", "with": INGEST["ingest"]}


def inputs(folder: Path, steps: list[Any]) -> dict[str, dict[str, list[str]]]:
    """Step -> port -> datasets."""
    read = load(folder, {"name": "x", "steps": steps})
    return {
        step.name: {port: [one.dataset for one in references] for port, references in step.inputs.items() if references}
        for step in read.steps
    }


def test_by_default_a_table_is_made_from_the_one_before_and_a_model_from_what_fits(tmp_path: Path) -> None:
    assert inputs(tmp_path, [*STEPS, *MODELS]) == {
        "ingest": {},
        "scrub": {"rows": ["ingested"]},
        "normalize": {"rows": ["scrubbed"]},
        "dedupe": {"rows": ["normalized"]},
        "split": {"rows": ["deduped"]},
        "encode": {"rows": ["train", "validation", "test"]},
        "base": {"tokenizer": ["train_encoded"]},
        "finetune": {"base": ["base"], "train": ["train_encoded"], "validation": ["validation_encoded"]},
        "evaluate": {"candidates": ["x"], "base": ["base"], "train": ["train_encoded"], "test": ["test_encoded"]},
        "promote": {"evaluation": ["evaluation"]},
    }


def test_two_sources_are_joined(tmp_path: Path) -> None:
    steps = [
        INGEST, "scrub", MAILS, {"stage": "scrub", "name": "scrub_mails", "inputs": "mails"},
        {"stage": "normalize", "inputs": ["scrub", "scrub_mails"]}, *STEPS[3:],
    ]  # fmt: skip
    found = inputs(tmp_path, steps)
    assert found["scrub_mails"] == {"rows": ["mails"]}
    assert found["normalize"] == {"rows": ["scrubbed", "scrub_mails"]}
    assert found["dedupe"] == {"rows": ["normalized"]}


def test_two_candidates_and_a_dataset_by_its_name(tmp_path: Path) -> None:
    steps = [
        *STEPS, "base", {"stage": "finetune", "name": "careful", "with": {"epochs": 1}},
        {"stage": "finetune", "name": "eager", "inputs": {"train": "train_encoded", "validation": "encode"}},
        "evaluate",
        {"stage": "evaluate", "name": "again", "inputs": {"candidates": ["eager"], "test": "test_encoded"}},
        "promote",
    ]  # fmt: skip
    found = inputs(tmp_path, steps)
    assert found["eager"] == {"base": ["base"], "train": ["train_encoded"], "validation": ["validation_encoded"]}
    assert found["evaluate"]["candidates"] == ["careful", "eager"]
    assert found["again"] == {
        "candidates": ["eager"], "base": ["base"], "train": ["train_encoded"], "test": ["test_encoded"],
    }  # fmt: skip
    assert found["promote"] == {"evaluation": ["evaluation", "again"]}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [INGEST, {"stage": "scrub", "inputs": "ingset"}],
            ["steps.scrub.inputs: no earlier step or dataset 'ingset'; did you mean 'ingest'?"],
        ),
        (
            [INGEST, {"stage": "scrub", "inputs": "normalize"}, "normalize"],
            [
                "steps.scrub.inputs: 'normalize' is not an earlier step; steps run in the order of the file, without "
                "cycles",
                "steps.ingest: no step reads its output; name it in the `inputs` of one",
            ],
        ),
        (
            [INGEST, {"stage": "scrub", "inputs": "scrub"}],
            [
                "steps.scrub.inputs: 'scrub' is not an earlier step; steps run in the order of the file, without "
                "cycles",
                "steps.ingest: no step reads its output; name it in the `inputs` of one",
            ],
        ),
        (
            [INGEST, {"stage": "scrub", "inputs": {"row": "ingest"}}],
            ["steps.scrub.inputs.row: unknown input; did you mean 'rows'?"],
        ),
        (
            [INGEST, {"stage": "scrub", "inputs": 5}],
            ["steps.scrub.inputs.rows: expected the name of an earlier step or dataset, found a number"],
        ),
        (
            [{"stage": "ingest", "with": INGEST["ingest"], "inputs": "x"}, "scrub"],
            ["steps.ingest.inputs: a source step has no inputs"],
        ),
        (
            [INGEST, "scrub", MAILS, {"stage": "normalize", "inputs": ["scrub", "mails"]}],
            [
                "steps.normalize: reads the clean zone but gets raw: put `scrub` before it, so that nothing personal "
                "leaves the raw zone",
                "steps.normalize: needs 'scrubbed', which not all of its inputs provide",
            ],
        ),
        (
            [*STEPS, "base", {"stage": "finetune", "inputs": {"base": "encode", "train": "split"}}],
            [
                "steps.finetune.inputs: 'encode' is not a model",
                "steps.finetune.inputs: 'split' does not provide 'input_ids'",
            ],
        ),
        (
            [*STEPS, "base", {"stage": "finetune", "inputs": {"base": ["base", "base"]}}],
            ["steps.finetune.inputs.base: takes one input, found 2"],
        ),
        (
            [*STEPS, "base", {"stage": "finetune", "name": "champion"}, "evaluate"],
            ["steps.champion: a candidate cannot be called 'champion', as evaluations use that name"],
        ),
        (
            [*STEPS, "finetune"],
            ["steps.finetune: its input 'base' needs a base model; put `base` before it"],
        ),
        (
            [*STEPS, "promote"],
            ["steps.promote: its input 'evaluation' needs an evaluation; put `evaluate` before it"],
        ),
        (
            [*STEPS[:5], "base"],
            ["steps.base: its input 'tokenizer' needs the tokenizer of a step such as `encode`; put one before it"],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, steps: list[Any], expected: list[str]) -> None:
    found = problems(tmp_path, {"name": "x", "steps": steps})
    assert [problem for problem in found if problem in expected] == expected, found


def test_all_problems_of_the_inputs_are_reported_at_once(tmp_path: Path) -> None:
    steps = [
        INGEST,
        {"stage": "scrub", "inputs": "x"},
        {"stage": "normalize", "inputs": "y", "with": {"min_turns": "z"}},
    ]
    found = problems(tmp_path, {"name": "x", "steps": steps})
    assert [problem.split(":")[0] for problem in found] == [
        "steps.scrub.inputs", "steps.normalize.min_turns", "steps.normalize.inputs", "steps.ingest",
    ]  # fmt: skip


def test_a_model_reads_each_split_for_its_own_purpose(tmp_path: Path) -> None:
    steps = [
        *STEPS, "base", {"stage": "finetune", "inputs": {"train": "test_encoded"}},
        {"stage": "evaluate", "inputs": {"test": "validation_encoded"}},
    ]  # fmt: skip
    assert problems(tmp_path, {"name": "x", "steps": steps}) == [
        "steps.finetune.inputs: 'test_encoded' is the test split; this input takes train",
        "steps.evaluate.inputs: 'validation_encoded' is the validation split; this input takes test",
    ]

"""`expect:` of a step: adds an expectation to the suite of its stage, or relaxes one of the suite's."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deskloop.contract.errors import ConfigError, ExpectationError
from deskloop.pipeline.expectations import Added, Declared, Relaxed, apply, expectation_problems
from deskloop.pipeline.preflight import preflight
from deskloop.report.evidence import expectations
from tasks import stages
from tests.deskloop.toy import Toy, digests, suites

LONG = {"add": "expect_column_value_lengths_to_be_between", "with": {"column": "row_id", "max_value": 1}}
UNIQUE = {"relax": "expect_column_values_to_be_unique", "because": "the channel repeats ids"}


class Expecting(Toy):
    """The toy pipeline with expectations declared for the step `upper`."""

    declared: Sequence[Any] = ()

    def pipeline(self, **options: Any) -> Any:
        return self.load({"stage": "upper", "with": options, "expect": list(self.declared)})


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Expecting:
    suites(monkeypatch)
    toy = Expecting(tmp_path)
    toy.write({"a": "hi", "bb": "hey"})
    return toy


def test_an_added_critical_expectation_stops_before_publication(toy: Expecting) -> None:
    toy.declared = [LONG]
    with pytest.raises(ExpectationError, match=r"was not published: .* \(1 of 2 rows\)"):
        toy.run()
    assert toy.engine().catalog.latest("uppered") is None
    toy.declared = [LONG | {"severity": "warning", "description": "Ids are short"}]
    results = toy.run()["upper"][1][0].expectations
    assert [(one["description"], one["severity"], one["passed"]) for one in results] == [
        ("ids are unique", "critical", True),
        ("Ids are short", "warning", False),
    ]


def test_changed_expectations_are_checked_again_without_computing(toy: Expecting) -> None:
    before = toy.run()
    toy.declared = [LONG | {"severity": "warning"}]
    again = toy.run()
    assert digests(again) == digests(before)
    assert {action for action, _ in again.values()} == {"reuse"}
    assert len(again["upper"][1][0].expectations) == 2
    assert [len(one.expectations) for one in toy.run()["upper"][1]] == [2]
    toy.declared = [LONG]
    with pytest.raises(ExpectationError, match="uppered@1, which is published, fails a critical expectation"):
        toy.run()
    toy.declared = []
    assert [len(one.expectations) for one in toy.run()["upper"][1]] == [1]


def test_a_relaxed_expectation_is_a_warning_with_its_reason_on_the_page(toy: Expecting) -> None:
    toy.declared = [UNIQUE]
    version = toy.run()["upper"][1][0]
    (result,) = version.expectations
    assert (result["severity"], result["relaxed"]) == ("warning", "the channel repeats ids")
    section = expectations({"steps": {"upper": {"expectations": version.expectations}}})
    assert section is not None
    assert section["groups"][0]["rows"][0]["relaxed"] == "the channel repeats ids"


def test_what_is_declared_wrongly_is_refused_at_load_or_before_a_run(toy: Expecting) -> None:
    toy.declared = [{"ad": "x"}, UNIQUE | {"because": ""}, {"add": "x", "severity": "fatal"}, "unique"]
    with pytest.raises(ConfigError) as caught:
        toy.pipeline()
    assert sorted(problem.partition(":")[0] for problem in caught.value.problems) == [
        "steps.upper.expect.0.ad",
        "steps.upper.expect.0.add",
        "steps.upper.expect.1.because",
        "steps.upper.expect.2.severity",
        "steps.upper.expect.3",
    ]
    toy.declared = [LONG | {"with": {"column": "rowid"}}, LONG | {"add": "expect_column_value_length_to_be_between"}]
    pipeline = toy.pipeline()
    with pytest.raises(ConfigError) as caught:
        preflight(pipeline, pipeline.steps)
    assert caught.value.problems == [
        "expect.0: with.column: the suite measures no column 'rowid'; did you mean 'row_id'?",
        "expect.1: unknown expectation 'expect_column_value_length_to_be_between'; "
        "did you mean 'expect_column_value_lengths_to_be_between'?",
    ]


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (
            Added(**{"add": "expect_column_max_to_be_between", "with": {"column": "turns", "max": 3}}),
            "expect.0: with.max: unknown argument; did you mean 'max_value'?",
        ),
        (
            Added(**{"add": "expect_column_max_to_be_between", "with": {"column": "turns", "row_condition": "x"}}),
            "expect.0: with.row_condition: unknown argument",
        ),
        (
            Added(**{"add": "expect_column_max_to_be_between", "with": {"max_value": 3}}),
            "expect.0: with.column: field required",
        ),
        *[
            (
                Added(**{"add": "expect_column_max_to_be_between", "with": {"column": column}}),
                f"expect.0: with.column: the suite measures no column {column!r}",
            )
            for column in (5, None, {"$PARAMETER": "rows_in"})
        ],
        (
            Added(**{"add": "expect_table_row_count_to_be_between", "with": {"max_value": {"$PARAMETER": "row_in"}}}),
            "expect.0: with.max_value: there is no fact 'row_in'; did you mean 'rows_in'?",
        ),
        (
            Relaxed(relax="expect_table_row_count_to_equal", because="x"),
            "expect.0: the suite has no 'expect_table_row_count_to_equal'; did you mean",
        ),
        (
            Relaxed(relax="expect_column_values_to_be_between", because="x"),
            "expectations of the suite match; use `with` to name the arguments of one",
        ),
        (
            Relaxed(**{"relax": "expect_groups_to_stay_together", "with": {"group": "family"}, "because": "x"}),
            "expect.0: 'expect_groups_to_stay_together' guards promise P2 and cannot be relaxed",
        ),
        (
            Relaxed(
                **{
                    "relax": "expect_column_values_to_be_between",
                    "with": {"column": "supervised_others"},
                    "because": "x",
                }
            ),
            "expect.0: 'expect_column_values_to_be_between' guards promise P9 and cannot be relaxed",
        ),
        (
            Relaxed(**{"relax": "expect_column_mean_to_be_between", "with": {"column": "evaluation"}, "because": "x"}),
            "expect.0: 'expect_column_mean_to_be_between' is a warning already, which stops no run",
        ),
    ],
)
def test_types_arguments_and_promises(declared: Declared, problem: str) -> None:
    dedupe = stages()["dedupe"]
    (found,) = expectation_problems(dedupe, [declared], dedupe.config())
    assert problem in found


def test_one_of_many_is_relaxed_and_the_others_are_as_before() -> None:
    from expectations.deduped import suite

    largest = {"relax": "expect_largest_group_to_be_bounded", "because": "one campaign"}
    applied = apply(suite(), [Relaxed(**largest)], [])
    relaxed = [one for one in applied if one.meta == {"relaxed": "one campaign"}]
    assert [one.severity for one in relaxed] == ["warning"]
    assert len(applied) == len(suite())


def test_the_expectations_of_the_documentation_are_valid() -> None:
    page = (Path(__file__).parents[3] / "docs" / "stages.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    for step in yaml.safe_load(block):
        declared = [(Relaxed if "relax" in entry else Added)(**entry) for entry in step["expect"]]
        stage = stages()[step["stage"]]
        assert expectation_problems(stage, declared, stage.config.model_construct()) == []


@pytest.mark.parametrize(("stage", "fact"), [("dedupe", "rows_in"), ("dedupe", "test"), ("scrub", "planted")])
def test_facts_of_a_step_its_config_and_its_measurement_are_valid_parameters(stage: str, fact: str) -> None:
    arguments = {"max_value": {"$PARAMETER": fact}}
    declared = Added(**{"add": "expect_table_row_count_to_be_between", "with": arguments})
    assert expectation_problems(stages()[stage], [declared], stages()[stage].config()) == []

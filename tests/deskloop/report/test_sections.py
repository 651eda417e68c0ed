"""What each section of the report says: the verdict, and the figures that a person would act on."""

import copy
from typing import Any

import pytest

from tests.deskloop.report.test_report import LEAST, RUN, RUNS, Page, render

GATES = RUN["decision"]["gates"]
FAILED_GATE = GATES[0] | {"passed": False}


def text_of(changes: dict[str, Any]) -> str:
    return Page(render(RUN | changes)).text()


def changed(step: str, **changes: Any) -> dict[str, Any]:
    """The run with some keys of one step replaced."""
    run = copy.deepcopy(RUN)
    run["steps"][step] |= changes
    return run


@pytest.mark.parametrize(
    ("changes", "headline", "badge"),
    [
        ({}, "The new model is the champion.", "✓ promoted"),
        ({"decision": {"promoted": True}}, "The new model is the champion.", "✓ promoted"),
        ({"decision": {"action": "blocked"}}, "The new model was not promoted.", "blocked"),
        ({"decision": {"gates": [FAILED_GATE]}}, "The new model was not promoted.", "blocked"),
        ({"decision": {"action": "kept"}}, "The new model needs a decision.", "needs a decision"),
        ({"decision": {"action": "already_champion"}}, "This model is already the champion.", "✓ champion"),
        ({"decision": {"action": "not_judged"}}, "The new model was not evaluated for promotion.", "not judged"),
        ({"decision": None}, "The new model was evaluated; the pipeline has no promotion step.", "✓ completed"),
        ({"decision": None, "metrics": {}}, "A new model was trained.", "✓ completed"),
        (RUNS["prepare"], "2,130 of 2,400 conversations are ready for training.", "✓ completed"),
        (RUNS["failed"], "The run failed at the step dedupe.", "✗ failed"),
    ],
)
def test_verdict(changes: dict[str, Any], headline: str, badge: str) -> None:
    page = render(RUN | changes)
    assert f"<h1>{headline}</h1>" in page
    assert f'">{badge}</span></p>' in page


def test_the_reason_and_the_figures_stand_under_the_verdict_and_their_terms_are_explained() -> None:
    text = text_of({})
    assert "The candidate is now the champion: it passed all 5 gates. To predict the agents' replies" in text
    assert "it needs 0.71 bits per byte; its base needs 3.12 and the former champion 0.74." in text
    for term in ("Candidate:", "Gate:", "Bits per byte:"):
        assert term in text
    assert "Gate:" not in Page(render(RUNS["prepare"])).text()


def test_an_error_is_shown_and_nothing_claimed_of_steps_that_did_not_run() -> None:
    text = Page(render(LEAST | {"status": "failed", "error": "found 1 family", "failed_step": "dedupe"})).text()
    assert "The run failed at the step dedupe. found 1 family" in text
    assert "dedupe ✗ failed" in text
    whole = Page(render(RUNS["failed"])).text()
    assert "2,340 (97.5%) were left when the run stopped" in whole
    assert "Not part of this run: Labels; Copies; Balance; Split; Intents; Training;" in whole
    assert "completed" not in whole


def test_what_needs_a_look_names_gates_crossings_expectations_and_tools_worst_first() -> None:
    proof = RUN["proof"] | {"families_crossing": 3}
    text = text_of({"decision": {"action": "blocked", "gates": [FAILED_GATE]}, "proof": proof})
    assert (
        "What needs attention Gate not passed: better than base 3 families cross a split. "
        "ingest, expectation not met: At least 99% of the records can be read "
        "augment: catalan is off: apertium eng-cat is not installed" in text
    )
    whole = changed("ingest", expectations=[])
    whole["steps"]["augment"]["equipment"] = {}
    whole["augmentation"] = []
    assert "What needs attention" not in Page(render(whole)).text()


def test_a_missing_tool_is_named() -> None:
    text = Page(render(changed("scrub", equipment={"spaCy model": None}))).text()
    assert "scrub: spaCy model is not installed" in text
    assert "scrub spaCy model ! not installed" in text


def test_rows_without_a_reason_are_not_hidden() -> None:
    text = Page(render(changed("dedupe", reasons={"near_duplicate": 44}))).text()
    assert "−44 near-copies −6 no reason given" in text


def test_copies_do_not_count_as_conversations() -> None:
    run = {key: value for key, value in RUN.items() if key != "proof"}
    assert "Of 2,400 conversations in the logs, 2,130 (88.8%) are available" in text_of({})
    assert "Of 2,400 conversations in the logs, 2,130 (88.8%) are available" in Page(render(run)).text()
    assert "2,250 → 2,738 +488 copies added −90 copies rejected: no new words" in text_of({})


def test_labels_are_shown_by_source_and_the_classifier_only_if_there_is_one() -> None:
    text = text_of({})
    assert "From the log the label that the support team assigned 1,900 83.0%" in text
    assert "Precision 91%" in text
    rules = {"sources": {"log": 3, "rule": 1, "none": 0}, "metrics": None}
    text = text_of({"annotation": rules})
    assert "By a rule" in text
    assert "Without a label" not in text
    assert "Quality of the classifier" not in text


def test_a_classifier_that_labels_nothing_says_why() -> None:
    found = RUN["annotation"] | {"metrics": {"labelled": 9, "intents": 1, "threshold": None, "reason": "one intent"}}
    text = text_of({"annotation": found})
    assert "The classifier was not used: one intent." in text
    assert "Quality of the classifier" not in text
    known = RUN["annotation"] | {"metrics": {"accuracy": 0.5, "labelled": 9, "intents": 3}}
    assert "it was fitted on 9 conversations of 3 intents." in text_of({"annotation": known})


def test_generators_show_what_they_kept_and_why_they_dropped() -> None:
    text = text_of({})
    assert "488 of 700 copies were kept" in text
    assert "Back translation 210 of 316 −55 strayed from the meaning −40 no new words" in text
    assert "Catalan ! off apertium eng-cat is not installed; this run did not use it." in text


def test_classes_are_shown_as_far_as_stages_changed_them() -> None:
    text = text_of({})
    assert "Logged 26 : 1 largest to rarest intent With copies 10.8 : 1" in text
    assert "Balanced 4.2 : 1" in text
    assert "store pickup weight 1.30 logged 20 with copies 48 balanced 96" in text
    assert "No intent was changed." not in text
    same = [{"intent": "refund", "logged": 3, "augmented": 3, "balanced": 3, "effective": 3, "weight": 1.0}]
    assert "No intent was changed." in text_of({"classes": same})
    steps = {name: step for name, step in RUN["steps"].items() if name != "augment"}
    assert "with copies" not in text_of({"steps": steps})
    assert "store pickup weight 1.30 logged 20 balanced 96" in text_of({"steps": steps})
    steps = {name: step for name, step in steps.items() if name != "balance"}
    assert 'id="classes"' not in render(RUN | {"steps": steps})
    assert "In training the largest of 9 intents (order tracking, 400) has 8.3 times as many" in text_of(
        {"steps": steps}
    )


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.3, -0.16, "✓ better"),
        (-0.3, -0.15, "≈ not worse"),  # beyond chance, but by less than what counts as better: 5% of 3.116
        (-0.05, 0.05, "≈ not worse"),
        (-0.3, 0.1, "≈ undecided: it may be better, equal or worse"),
        (0.05, 0.1, "≈ undecided: it may be worse"),
        (0.1, 0.3, "✗ worse"),
        (None, None, "≈ too few families for an interval"),
    ],
)
def test_a_difference_says_what_its_interval_allows(low: float | None, high: float | None, told: str) -> None:
    text = text_of({"comparisons": [{"against": "base", "difference": -0.2, "low": low, "high": high}]})
    assert f"against base {told} −0.200" in text


def test_gates_tell_what_was_measured_and_what_was_needed() -> None:
    gates = [
        FAILED_GATE,
        GATES[3],
        GATES[4] | {"passed": False},
        {"gate": "polite_enough", "passed": False, "value": None},
    ]
    text = text_of({"decision": {"action": "blocked", "gates": gates}})
    told = "✗ failed Better than base It predicts the agents' replies clearly better than the model it started from."
    assert told in text
    assert "Needed: the whole interval below −0.156. −2.406 −2.450 to −2.361" in text
    assert "✓ passed Not worse than champion" in text
    assert "Needed: the whole interval below +0.022." in text
    assert "✗ failed Enough test families" in text
    assert "Needed: at least 50. 225" in text
    assert "✗ failed Polite enough –" in text


def test_the_model_judged_against_is_named_or_said_to_be_absent() -> None:
    assert "Compared with support version 2 Promoted 13 Mar 2026, 02:02 UTC" in text_of({})
    assert "There was no champion to compare with." in text_of({"champion": None})


def test_failed_expectations_stand_first_with_their_severity() -> None:
    rows = [{"description": "Ids are unique", "severity": "critical", "passed": False, "unexpected": 3, "rows": 90}]
    text = Page(render(changed("split", expectations=rows))).text()
    critical = text.index("✗ critical Ids are unique after split; unexpected in 3 of 90 rows")
    assert critical < text.index("! warning At least 99% of the records can be read after ingest; observed 0.983")
    assert critical < text.index("ingest ! 2 of 3 met")


def test_lineage_draws_steps_and_names_versions_of_earlier_runs() -> None:
    text = text_of({})
    assert "From earlier runs: support@2." in text
    assert "ingested@4 raw 2,360 rows ingest, from the logs" in text
    assert "train@4 2,148 rows validation@4 235 rows test@4 235 rows split, from balanced@4" in text
    assert "split, from balanced@4" in text_of({"lineage": None})


def test_a_crossing_is_shown_as_broken() -> None:
    text = text_of({"proof": RUN["proof"] | {"families_crossing": 3}})
    assert "✗ 3 families cross a split." in text
    assert "✓ No family crosses" not in text
    assert "✓ No family crosses a split. 1,930 families" in text_of({})


def test_replies_show_the_champion_only_where_there_is_one() -> None:
    assert "Champion I'm sorry to hear that." in text_of({})
    alone = [{"prompt": [], "base": " ", "candidate": "Yes\x07."}]
    text = text_of({"replies": alone, "metrics": {}})
    assert "Base (no text) Candidate Yes�." in text
    assert "Champion" not in text


def test_steps_side_by_side_are_drawn_as_a_graph_and_a_chain_is_not() -> None:
    page = render(RUN)
    assert 'class="dag"' in page
    assert page.count('<rect class="box"') == len(RUN["graph"]) == 16
    assert "<title>normalize to dedupe</title>" in page
    assert "base: <code>base</code>, train: <code>train_encoded</code>" in page
    chain = [{"step": "a", "inputs": []}, {"step": "b", "inputs": [{"port": "rows", "step": "a", "dataset": "a"}]}]
    assert 'id="pipeline"' not in render(RUN | {"graph": chain})

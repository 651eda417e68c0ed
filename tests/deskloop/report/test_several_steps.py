"""Pipelines with several steps of one stage: two sources, two scrub steps, two candidates, two evaluations."""

import re
from types import SimpleNamespace
from typing import Any, cast

from deskloop.report.funnel import arrivals
from deskloop.run.session import Run
from tasks.split.report import upstream
from tests.deskloop.report.test_report import RUN, STAGES, Page, render

SCRUBS = {
    "scrub": {"entities": {"PERSON": {"count": 70, "conversations": 40}}, "languages": {"en": 90}},
    "scrub_may": {
        "entities": {"IBAN_CODE": {"count": 5, "conversations": 4}},
        "languages": {"de": 60},
        "recall": {"planted": 10, "found": 9, "low": 0.6, "high": 0.98},
    },
}


def two_scrubs() -> dict[str, Any]:
    single = ("entities", "languages", "recall")
    return {key: value for key, value in RUN.items() if key not in single} | {"by_step": {"scrub": SCRUBS}}


def table(name: str, rows: int, rejected: int = 0, parents: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A step that publishes version 1 of a dataset of its name."""
    datasets = [{"dataset": name, "version": 1}]
    counts = {"rows_out": rows, "rejected": rejected, "parents": [f"{parent}@1" for parent in parents]}
    return {"stage": "normalize", "datasets": datasets, **counts, **more}


def test_every_step_of_a_stage_has_its_own_figures_and_sections() -> None:
    page = Page(render(two_scrubs()))
    text = page.text()
    assert "Personal values 70 replaced, of 1 types (scrub)" in text
    assert "Personal values 5 replaced, of 1 types (scrub_may)" in text
    assert "Step scrub 70 personal values" in text
    assert "Step scrub_may 5 personal values" in text
    assert "English 90 (100.0%)" in text
    assert "German 60 (100.0%)" in text
    assert "Step scrub_may The values that a detector misses" in text
    assert "Step scrub The values that a detector misses" not in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_every_source_counts_once_and_rejects_count_where_they_happen() -> None:
    steps = {
        "ingest": table("ingest", 90, 10),
        "may": table("may", 50, 5),
        "normalize": table("normalize", 120, 20, ("ingest", "may")),
        "german": table("german", 30, 90, ("normalize",)),
        "english": table("english", 80, 40, ("normalize",)),
    }
    assert arrivals({"steps": steps}, STAGES) == (155, 80)  # branches of the same rows: the largest
    first = {name: steps[name] for name in ("ingest", "may")}
    assert arrivals({"steps": first}, STAGES) == (155, 140)  # sources that are not joined yet
    by_split = {"train": {"conversations": 100}, "test": {"conversations": 12}}
    assert arrivals({"steps": steps, "proof": {"by_split": by_split}}, STAGES) == (155, 112)


def two_candidates() -> dict[str, Any]:
    metrics = RUN["metrics"] | {"careful": RUN["metrics"]["candidate"] | {"bits_per_byte": 0.91}}
    newest = {name: cell | {"bits_per_byte": cell["bits_per_byte"] + 0.5} for name, cell in metrics.items()}
    evaluations = {
        "evaluate": {"metrics": metrics, "comparisons": RUN["comparisons"]},
        "evaluate_newest": {"metrics": newest, "comparisons": RUN["comparisons"][:1]},
    }
    gates = [gate | {"gate": f"{gate['gate']} on {step}"} for step in evaluations for gate in RUN["decision"]["gates"]]
    details = RUN["training"]["finetune"]
    replies = [{"prompt": [], "base": "b", "candidate": "from eager", "careful": "from careful"}]
    return RUN | {
        "candidates": {"chosen": "eager", "steps": ["careful", "eager"]},
        "evaluations": evaluations,
        **evaluations["evaluate"],
        "decision": RUN["decision"] | {"gates": gates},
        "training": {"careful": details | {"parameters": 7}, "eager": details},
        "replies": replies,
    }


def test_both_candidates_are_named_and_the_chosen_one_is_marked() -> None:
    text = Page(render(two_candidates())).text()
    chosen = "Of the candidates careful and eager, eager was chosen: it needs the fewest bits per byte of those that"
    assert text.count(f"{chosen} passed all gates.") == 2  # in the head and in the decision
    assert "Candidate eager the chosen one of the models that this run trained 0.710" in text
    assert "Candidate careful another model that this run trained 0.910" in text
    assert "Candidate careful The lowest validation loss" in text
    assert "Candidate eager (chosen) The lowest validation loss" in text
    assert "Candidate eager from eager Candidate careful from careful" in text


def test_a_choice_without_a_candidate_that_passed_says_so() -> None:
    run = two_candidates()
    run["decision"]["gates"][-1]["passed"] = False
    text = Page(render(run)).text()
    assert "eager was chosen: it needs the fewest bits per byte; none passed all gates." in text


def test_every_evaluation_is_shown_with_its_own_figures() -> None:
    page = Page(render(two_candidates()))
    text = page.text()
    assert "in the test data of evaluate, it needs 0.71 bits per byte; its base needs 3.12" in text
    assert "in the test data of evaluate_newest, it needs 1.21 bits per byte; its base needs 3.62" in text
    assert "less than its base; lower is better (evaluate)" in text
    assert re.search("On the test data of evaluate .* On the test data of evaluate_newest .* 1.210", text)
    assert "Better than base on evaluate_newest It predicts the agents' replies clearly better" in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert "Of the candidates" not in Page(render(RUN)).text()


def test_intents_before_the_split_are_those_of_its_own_branch() -> None:
    def made(name: str, stage: str, *parents: str) -> Any:
        version = SimpleNamespace(name=name, stage=stage, parents=[SimpleNamespace(name=parent) for parent in parents])
        return SimpleNamespace(versions=[version])

    entries = {
        "more": made("more@1", "augment", "annotated@1"),
        "fewer": made("fewer@1", "augment", "annotated@1"),
        "balance": made("balanced@1", "balance", "more@1"),
        "split": made("train@1", "split", "balanced@1"),
    }
    before = upstream(cast(Run, SimpleNamespace(entries=entries)), entries["split"].versions[0])
    assert {stage: [version.name for version in versions] for stage, versions in before.items()} == {
        "augment": ["more@1"],
        "balance": ["balanced@1"],
    }

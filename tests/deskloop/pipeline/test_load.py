"""A pipeline file is accepted as a whole or refused with every problem at once, and no value of it in the message."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import RowStage, StageConfig
from deskloop.pipeline.json_schema import pipeline_schema
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.pipeline import Pipeline
from tasks import stages

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*/pipeline.yaml"))
INGEST = {"ingest": {"sources": [{"path": "log.jsonl"}]}}
STEPS: list[Any] = [INGEST, "scrub", "normalize", "dedupe", "split", "encode"]
MODELS: list[Any] = ["base", "finetune", "evaluate", "promote"]


def load(folder: Path, content: object, *overrides: str) -> Pipeline:
    file = folder / "pipeline.yaml"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_pipeline(file, stages(), overrides)


def problems(folder: Path, content: object, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, content, *overrides)
    assert caught.value.exit_code == 2
    return caught.value.problems


def with_source(**source: Any) -> dict[str, Any]:
    return {"name": "x", "steps": [{"ingest": {"sources": [{"path": "log.jsonl"} | source]}}, *STEPS[1:]]}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    steps = [*STEPS[:3], {"stage": "normalize", "name": "shorter", "with": {"max_chars": 50}}, *STEPS[3:]]
    steps += ["base", {"finetune": {"epochs": 2}}, "evaluate", "promote"]
    read = load(tmp_path, {"name": "x", "seed": 4, "base": "some/model", "steps": steps})
    assert [step.name for step in read.steps] == [
        "ingest", "scrub", "normalize", "shorter", "dedupe", "split", "encode", "base", "finetune", "evaluate",
        "promote",
    ]  # fmt: skip
    assert read.step("shorter").config.max_chars == 50
    assert read.step("shorter").datasets == {None: "shorter"}
    assert read.step("split").datasets == {"train": "train", "validation": "validation", "test": "test"}
    assert read.step("base").config.base == read.step("encode").config.base == "some/model"
    assert read.step("finetune").config.epochs == 2
    assert read.step("finetune").datasets == {None: "x"}
    assert read.store == tmp_path / ".deskloop" / "x"


def test_a_sample_has_a_store_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(json.dumps({"name": "x", "steps": STEPS, "store": "here"}))
    read = load_pipeline(tmp_path / "p.yaml", stages(), sample=20)
    assert read.store == tmp_path / "here-sample-20"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"name": "x", "steps": STEPS, "sede": 3}, "sede: unknown key; did you mean 'seed'?"),
        (
            {"name": "x", "steps": [*STEPS, "base", {"finetune": {"epoch": 3}}]},
            "steps.finetune.epoch: unknown key; did you mean 'epochs'?",
        ),
        (
            {"name": "x", "steps": STEPS, "finetune": {"epochs": 3}},
            "finetune: a stage; write it as an entry of `steps`",
        ),
        (with_source(formt="csv"), "steps.ingest.sources.0.formt: unknown key; did you mean 'format'?"),
        (
            with_source(columns={"convid": "id"}),
            "steps.ingest.sources.0.columns.convid: unknown key; did you mean 'conversation_id'?",
        ),
        (
            with_source(customer={"emial": "a"}),
            "steps.ingest.sources.0.customer.emial: unknown key; did you mean 'email'?",
        ),
        (
            {
                "name": "x",
                "steps": [*STEPS, *MODELS[:2], {"evaluate": {"prompts": [[{"role": "agent", "text": "a", "rol": 1}]]}}],
            },
            "steps.evaluate.prompts.0.0.rol: unknown key; did you mean 'role'?",
        ),
        (
            {"name": "x", "steps": [*STEPS[:5], {"stage": "encode", "nam": "b"}]},
            "steps.5.nam: unknown key; did you mean 'name'?",
        ),
        ({"name": "x", "steps": [*STEPS[:5], "encoed"]}, "steps.5: unknown stage 'encoed'; did you mean 'encode'?"),
        (
            {"name": "x", "steps": STEPS, "normalize": {"max_chars": 5}},
            "normalize: a stage; write it as an entry of `steps`",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_right_one(tmp_path: Path, content: object, expected: str) -> None:
    assert problems(tmp_path, content) == [expected]


def test_a_name_like_no_other_is_told_all_there_are(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"name": "x", "steps": [*STEPS, "zzz"]})
    assert problem == f"steps.6: unknown stage 'zzz'; available: {', '.join(sorted(stages()))}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"name": "x", "steps": STEPS, "seed": "minus"}, "seed: expected a whole number, found text"),
        ({"name": "x", "steps": STEPS, "seed": 1.5}, "seed: expected a whole number, found a number"),
        ({"name": "x", "steps": STEPS, "seed": -1}, "seed: should be greater than or equal to 0"),
        ({"name": "x", "steps": STEPS, "workers": []}, "workers: expected a whole number, found a list"),
        ({"name": "x", "steps": STEPS, "base": 5}, "base: expected text, found a number"),
        ({"name": "x", "steps": STEPS, "base": None}, "base: expected text, found nothing"),
        ({"steps": STEPS}, "name: is required"),
        ({"name": "Not Good", "steps": STEPS}, "name: string should match pattern '^[a-z][a-z0-9_-]{0,39}$'"),
        ({"name": "x", "steps": [*STEPS, {"base": 0}]}, "steps.base: expected options, found a number"),
        (
            {"name": "x", "steps": [*STEPS, "base", {"finetune": {"epochs": "three"}}]},
            "steps.finetune.epochs: expected a number, found text",
        ),
        ({"name": "x", "steps": [*STEPS[:5], {"encode": "no"}]}, "steps.encode: expected options, found text"),
        (
            {"name": "x", "steps": [*STEPS[:5], {"stage": "encode", "with": []}]},
            "steps.encode: expected options, found a list",
        ),
        (with_source(path=5), "steps.ingest.sources.0.path: expected text, found a number"),
        (
            with_source(customer={"id": 5}),
            "steps.ingest.sources.0.customer.id: expected text or a list, found a number",
        ),
        (
            with_source(known={"PERSON": 7}),
            "steps.ingest.sources.0.known.PERSON: expected text or a list, found a number",
        ),
        (with_source(metadata="channel"), "steps.ingest.sources.0.metadata: expected a list, found text"),
        (
            with_source(format="cvs"),
            "steps.ingest.sources.0.format: should be 'auto', 'context_response', 'conversations', 'csv', "
            "'huggingface', 'instructions', 'openai', 'parquet', 'sharegpt' or 'zendesk'",
        ),
        (
            {"name": "x", "steps": [{"ingest": {"sources": [7]}}, *STEPS[1:]]},
            "steps.ingest.sources.0: expected options, found a number",
        ),
        ({"name": "x", "steps": ["ingest", *STEPS[1:]]}, "steps.ingest.sources: is required"),
    ],
)
def test_a_wrong_type_is_told_as_expected_and_found(tmp_path: Path, content: object, expected: str) -> None:
    assert problems(tmp_path, content) == [expected]


LIST = "steps: expected a list such as [ingest, scrub, normalize, dedupe, split, encode]"
ENTRY = "steps.0: expected `stage`, `stage: {options}` or `{stage, name, inputs, with, expect}`"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (None, LIST),
        ([], LIST),
        ("ingest", LIST),
        ({"ingest": {}}, LIST),
        ([5], ENTRY),
        ([{}], ENTRY),
        ([{"ingest": {}, "scrub": {}}], ENTRY),
        ([{"stage": 5}], ENTRY),
        ([{"stage": None, "name": "ingest"}], ENTRY),
    ],
)
def test_steps_have_known_forms(tmp_path: Path, steps: object, expected: str) -> None:
    assert problems(tmp_path, {"name": "x", "steps": steps}) == [expected]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [INGEST, "normalize", "dedupe", "split", "encode"],
            [
                "steps.normalize: reads the clean zone but gets raw: put `scrub` before it, so that nothing personal "
                "leaves the raw zone",
                "steps.normalize: needs 'scrubbed', which no step before it provides",
            ],
        ),
        (["scrub", "normalize"], ["steps.scrub: reads the raw zone but gets world: it must come after ingest"]),
        ([*STEPS, {"stage": "ingest", "name": "more", "with": INGEST["ingest"]}],
         ["steps.more: no step reads its output; name it in the `inputs` of one"]),
    ],
)  # fmt: skip
def test_scrub_cannot_be_left_out_and_the_order_counts(tmp_path: Path, steps: list[Any], expected: list[str]) -> None:
    found = problems(tmp_path, {"name": "x", "steps": steps})
    assert found[: len(expected)] == expected


def test_split_without_dedupe_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, {"name": "x", "steps": [step for step in STEPS if step != "dedupe"]})
    assert [problem for problem in found if problem.startswith("steps.split: needs ")]


def test_scrub_may_come_again(tmp_path: Path) -> None:
    again = {"stage": "scrub", "name": "scrub_again"}
    read = load(tmp_path, {"name": "x", "steps": [*STEPS[:3], again, *STEPS[3:]]})
    assert read.step("scrub_again").datasets == {None: "scrub_again"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scrub", "steps.3: the name 'scrub' is taken; write {stage: normalize, name: ...}"),
        ("seed", "steps.3: the name 'seed' is taken; write {stage: normalize, name: ...}"),
        ("../up", "steps.3: the name '../up' does not match the pattern '^[a-z][a-z0-9_]{0,39}$'"),
        ("5", "steps.3: the name '5' does not match the pattern '^[a-z][a-z0-9_]{0,39}$'"),
        ("scrubbed", "steps.scrubbed: its dataset 'scrubbed' is taken by steps.scrub"),
        ("train", "steps.split: its dataset 'train' is taken by steps.train"),
        ("quarantine", "steps.quarantine: its dataset 'quarantine' is taken by deskloop itself"),
    ],
)
def test_names_are_unique_and_plain(tmp_path: Path, name: str, expected: str) -> None:
    steps = [*STEPS[:3], {"stage": "normalize", "name": name}, *STEPS[3:]]
    assert problems(tmp_path, {"name": "x", "steps": steps}) == [expected]


def test_a_step_twice_needs_a_name(tmp_path: Path) -> None:
    found = problems(tmp_path, {"name": "x", "steps": [*STEPS[:3], "normalize", *STEPS[3:]]})
    assert found == ["steps.3: the name 'normalize' is taken; write {stage: normalize, name: ...}"]


@pytest.mark.parametrize(("name", "owner"), [("scrubbed", "steps.scrub"), ("quarantine", "deskloop itself")])
def test_the_model_has_a_name_of_its_own(tmp_path: Path, name: str, owner: str) -> None:
    assert problems(tmp_path, {"name": name, "steps": [*STEPS, "base", "finetune"]}) == [
        f"name: {name!r} is taken by {owner}; the model needs another name"
    ]


def test_everything_is_told_at_once_and_no_value(tmp_path: Path) -> None:
    content = {
        "name": "Secret Jane",
        "sede": "secret 1",
        "seed": "secret 2",
        "base": ["secret 3"],
        "steps": [
            {"ingest": {"sources": [{"path": ["secret 4"], "formt": "secret 5", "encoding": "secret 6"}, "secret 7"]}},
            {"normalise": {"max_chars": "secret 8"}},
            {"stage": "dedupe", "with": ["secret 9"]},
            {"split": {"threshold": "secret 10"}},
            ["secret 11"],
            {"encode": {"max_length": "secret 12"}},
            "base",
            {"finetune": {"epochs": "secret 13", "scheduler": "secret 14"}},
            {"evaluate": {"prompts": [[{"role": "secret 15", "text": 16}]], "top_k": "secret 17"}},
        ],
    }
    found = problems(tmp_path, content)
    assert [problem.split(": ")[0] for problem in found] == [
        "name", "seed", "base", "sede",
        "steps.ingest.sources.0.path", "steps.ingest.sources.0.encoding", "steps.ingest.sources.0.formt",
        "steps.ingest.sources.1",
        "steps.1", "steps.dedupe", "steps.split.threshold", "steps.4", "steps.encode.max_length",
        "steps.finetune.scheduler", "steps.finetune.epochs",
        "steps.evaluate.prompts.0.0.role", "steps.evaluate.prompts.0.0.text", "steps.evaluate.top_k",
        "steps.normalise", "steps.normalise",
    ]  # fmt: skip
    assert "ecret" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\nname: y\n", "line 2, column 1: duplicate key 'name'"),
        ("name: x\nsteps:\n  - ingest: {a: 1, a: 2}\n", "line 3, column 20: duplicate key 'a'"),
        ("1: x\n1: y\n", "line 2, column 1: duplicate key '1'"),
        ("a: [1\nb: 2", "line 2, column 2: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("\tname: x", "line 1, column 1: while scanning for the next token, found character '\\t'"),
        ("a: *b", "line 1, column 4: found undefined alias 'b'"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: could not determine a constructor for the tag"),
        ("name: x\n---\nname: y", "line 2, column 1: expected a single document in the stream"),
        ("a: \x07", "not valid YAML: special characters are not allowed"),
        ("at: 2024-02-31", "not valid YAML: a date that does not exist"),
        ("[" * 5000, "not valid YAML: nested too deeply"),
        ("- a\n- b", "expected keys such as `name` and `steps`, found a list"),
        ("", "expected keys such as `name` and `steps`, found nothing"),
        ("just text", "expected keys such as `name` and `steps`, found text"),
        ("12", "expected keys such as `name` and `steps`, found a number"),
        ("true", "expected keys such as `name` and `steps`, found true or false"),
    ],
)
def test_what_is_no_pipeline_file_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(expected)


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    merged = "name: x\nsteps: [ingest: {sources: [&a {path: one}, {<<: *a, path: two, format: csv}]}, scrub]"
    first, second = load(tmp_path, merged).steps[0].config.sources
    assert (first.path, second.path, second.format) == (str(tmp_path / "one"), str(tmp_path / "two"), "csv")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_bytes(b"name: \xff")
    (tmp_path / "folder.yaml").mkdir()
    wanted = {
        "pipelin.yml": "there is no file {}; did you mean pipeline.yaml?",
        "zzz": "there is no file {}; `deskloop init` writes one",
        "folder.yaml": "{} is a folder; name the pipeline file in it",
        "pipeline.yaml": "not UTF-8 text",
        "n" * 300: "{} cannot be read: File name too long",
    }
    for name, expected in wanted.items():
        file = tmp_path / name
        with pytest.raises(ConfigError) as caught:
            load_pipeline(file, stages())
        assert caught.value.problems == [expected.format(file)]


@pytest.mark.parametrize(
    ("override", "place", "expected"),
    [
        ("seed=9", "settings.seed", 9),
        ("workers = 1", "settings.workers", 1),
        ("base=./model=x", "settings.base", "./model=x"),
        ("finetune.epochs=0.5", "steps.8.config.epochs", 0.5),
        ("evaluate.top_k=5", "steps.9.config.top_k", 5),
        ("normalize.max_chars=77", "steps.2.config.max_chars", 77),
        ("shorter.max_chars=77", "steps.3.config.max_chars", 77),
        ("dedupe.threshold=0.9", "steps.4.config.threshold", 0.9),
        ("split.threshold=0.9", "steps.5.config.threshold", 0.9),
        ("encode.max_length=64", "steps.6.config.max_length", 64),
        ("ingest.sources.0.path=other", "steps.0.config.sources.0.path.written", "other"),
        ("ingest.sources.0.columns.text=body", "steps.0.config.sources.0.columns.text", "body"),
        ("ingest.roles={bot: agent}", "steps.0.config.roles", {"bot": "agent"}),
        ("steps.2.normalize.max_chars=77", "steps.2.config.max_chars", 77),
    ],
)
def test_set_reaches_every_option(tmp_path: Path, override: str, place: str, expected: object) -> None:
    shorter = {"stage": "normalize", "name": "shorter"}
    steps = [INGEST, "scrub", {"normalize": {}}, shorter, {"dedupe": None}, {"stage": "split", "with": None}, "encode"]
    steps += MODELS
    found: Any = load(tmp_path, {"name": "x", "steps": steps}, override)
    for part in place.split("."):
        key: Any = int(part) if part.isdigit() else part
        found = found[key] if isinstance(found, dict | tuple) else getattr(found, part)
    assert found == expected


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "--set seed: expected KEY.KEY=VALUE"),
        ("=5", "--set : expected KEY.KEY=VALUE"),
        ("a..b=5", "--set a..b: expected KEY.KEY=VALUE"),
        ("seed=[1", "--set seed: the value is not valid YAML"),
        ("finetune={a: 1, a: 2}", "--set finetune: the value is not valid YAML"),
        ("seed=2024-02-31", "--set seed: the value is not valid YAML"),
        ("normalise.max_chars=5", "--set normalise.max_chars: no step or key 'normalise'; did you mean 'normalize'?"),
        ("sede=5", "--set sede: no step or key 'sede'; did you mean 'seed'?"),
        ("seed.x=5", "--set seed.x: there is a number where 'x' should be a key"),
        ("ingest.sources.7.path=x", "--set ingest.sources.7.path: '7' is not a position in a list of 1"),
        ("ingest.sources.path=x", "--set ingest.sources.path: 'path' is not a position in a list of 1"),
        ("normalize.max_char=5", "steps.normalize.max_char: unknown key; did you mean 'max_chars'?"),
        ("normalize=5", "--set normalize: no step or key 'normalize'"),
        ("seed=", "seed: expected a whole number, found nothing"),
        ("seed=Secret", "seed: expected a whole number, found text"),
    ],
)
def test_a_bad_set_is_refused_by_its_path(tmp_path: Path, override: str, expected: str) -> None:
    found = problems(tmp_path, {"name": "x", "seed": 1, "steps": STEPS}, override)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_set_on_broken_steps_is_no_traceback(tmp_path: Path) -> None:
    for steps in ("text", 5, None, [5, ["a"], {}]):
        assert problems(tmp_path, {"name": "x", "steps": steps}, "normalize.max_chars=5", "steps.0.x=1")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_the_examples_are_accepted_by_both(file: Path) -> None:
    load_pipeline(file, stages())
    schema = pipeline_schema(stages())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(file.read_text()))) == []


@pytest.mark.parametrize(
    "content",
    [
        {"name": "x", "steps": STEPS, "sede": 3},
        {"name": "x", "steps": []},
        {"name": "X y", "steps": STEPS},
        with_source(formt="csv"),
        {"name": "x", "steps": [*STEPS, "zzz"]},
        {"name": "x", "steps": [*STEPS, {"stage": "encode", "with": {"max_len": 3}}]},
        {"name": "x", "steps": STEPS, "finetune": {"epochs": "three"}},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(tmp_path: Path, content: Any) -> None:
    assert problems(tmp_path, content)
    schema = pipeline_schema(stages())
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(content))


def test_a_stage_of_another_package_is_a_stage(tmp_path: Path) -> None:
    class Config(StageConfig):
        loud: bool = False

    shout = RowStage(name="shout", dataset="shouted", config=Config, run=lambda rows, config, context: rows)
    (tmp_path / "p.yaml").write_text(json.dumps({"name": "x", "steps": [*STEPS[:2], {"shout": {"loud": True}}]}))
    read = load_pipeline(tmp_path / "p.yaml", {**stages(), "shout": shout})
    assert read.step("shout").config == Config(loud=True)


def test_no_such_step_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no step 'normalise'; did you mean 'normalize'\\?"):
        load(tmp_path, {"name": "x", "steps": STEPS}).step("normalise")

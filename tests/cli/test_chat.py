"""`deskloop chat`: a conversation with history; what is written is scrubbed, and kept nowhere."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import chat
from deskloop.pipeline.yaml_file import step_name
from tasks.evaluate import EvaluateConfig
from tasks.evaluate.generation import load_text_generator, prompt_ids
from tasks.scrub import ScrubConfig
from tests.cli.test_models import Call, Result, built
from tests.cli.test_models import deskloop as deskloop
from tests.flows.desk import Desk

Say = Callable[..., Result]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline file with three models; only to be read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return built(tmp_path_factory.mktemp("chat") / "desk")


@pytest.fixture
def say(file: Path, deskloop: Call, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Lines from a pipe, given to `deskloop chat OPTIONS`."""

    def call(lines: str, *options: object) -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
        return deskloop("chat", "-c", file, *options)

    return call


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, Any]]]:
    """The conversations that models are asked to go on with."""
    prompts: list[list[dict[str, Any]]] = []

    def watched(generator: Any, turns: Any) -> list[int]:
        prompts.append([{"role": turn["role"], "text": turn["text"]} for turn in turns])
        return prompt_ids(generator, turns)

    monkeypatch.setattr("tasks.evaluate.generation.prompt_ids", watched)
    return prompts


def talk(file: Path, scrub: ScrubConfig | None = None, **settings: Any) -> chat.Talk:
    config = EvaluateConfig(**{"max_new_tokens": 8, "temperature": 0, "no_repeat_ngram": 0, **settings})
    return chat.Talk(load_text_generator(file.parent / "store" / "models" / "desk" / f"{2:016d}", config), scrub, 0)


def test_a_line_is_a_turn_and_only_replies_are_printed(say: Say, seen: list[list[dict[str, Any]]]) -> None:
    result = say("Where is it?\n\nThank you\n/exit\nnever read\n", "--greedy")
    assert result.code == 0
    first, second = seen[0], seen[1]
    assert first == [{"role": "customer", "text": "Where is it?"}]
    reply = second[1]["text"]
    assert second == [*first, {"role": "agent", "text": reply}, {"role": "customer", "text": "Thank you"}]
    assert result.out.startswith(f"{reply}\n")
    assert len(seen) == 2
    assert result.err.splitlines() == [
        "desk 2 (desk@2): champion, 2.250 bits per byte on its test split. It writes names, addresses and numbers as "
        "placeholders such as <PERSON_1>; your messages are scrubbed the same way, and not stored."
    ]
    assert say("Where is it?\n\nThank you\n", "--greedy").out == result.out


def test_what_is_written_is_scrubbed_as_one_conversation_and_kept_nowhere(
    say: Say, seen: list[list[dict[str, Any]]], file: Path
) -> None:
    lines = "I am jane.roe@example.com\nAnd jo@example.com, not jane.roe@example.com\n"
    say(lines, "--greedy")
    assert [turn["text"] for turn in seen[-1] if turn["role"] == "customer"] == [
        "I am <EMAIL_ADDRESS_1>", "And <EMAIL_ADDRESS_2>, not <EMAIL_ADDRESS_1>",
    ]  # fmt: skip
    store = [path for path in file.parent.rglob("*") if path.is_file()]
    assert store
    assert not [path for path in store if b"jane.roe" in path.read_bytes()]
    raw = say(lines, "--greedy", "--raw")
    assert seen[-1][0]["text"] == "I am jane.roe@example.com"
    assert "your messages are not scrubbed" in raw.err


def test_recognizers_lie_beside_the_pipeline_file(
    file: Path, deskloop: Call, seen: list[list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (file.parent / "own.yaml").write_text(
        "recognizers: [{name: o, supported_entity: ORDER_ID, patterns: [{name: o, regex: 'HD-\\d{6}', score: 0.9}]}]\n"
    )
    pipeline = yaml.safe_load(file.read_text())
    place = next(place for place, step in enumerate(pipeline["steps"]) if step_name(step) == "scrub")
    pipeline["steps"][place] = {"scrub": {"recognizers": "own.yaml", "detector": "patterns"}}
    other = file.with_name("recognizers.yaml")
    other.write_text(yaml.safe_dump(pipeline))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Where is HD-123456?\n")))
    monkeypatch.chdir(tmp_path)
    assert deskloop("chat", "-c", other, "--greedy").code == 0
    assert seen[0][0]["text"] == "Where is <ORDER_ID_1>?"


def test_commands(say: Say, seen: list[list[dict[str, Any]]]) -> None:
    result = say("/system Be kind.\nHi\n/reset\nHello\n/system\nHello\n/sytsem x\n", "--greedy")
    assert [[turn["role"] for turn in turns] for turns in seen] == [
        ["system", "customer"], ["system", "customer"], ["customer", "agent", "customer"],
    ]  # fmt: skip
    assert seen[1][0]["text"] == "Be kind."
    assert "no command /sytsem; /reset starts a new" in result.err


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("champion", "desk 2 (desk@2): champion"),
        ("candidate", "desk 3 (desk@3): challenger"),
        ("1", "desk 1 (desk@1): not promoted"),
        ("desk@3", "desk 3 (desk@3): challenger"),
        ("base", "base@1, the model before fine-tuning"),
    ],
)
def test_every_model_can_be_talked_to(which: str, told: str, say: Say) -> None:
    result = say("Hi\n", "--greedy", "--model", which, "--max-new-tokens", 4)
    assert (result.code, result.err.startswith(told)) == (0, True)


def test_the_choices_of_sampling_reach_the_model(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[EvaluateConfig] = []

    def watched(folder: Path, config: EvaluateConfig) -> Any:
        configs.append(config)
        return load_text_generator(folder, config)

    monkeypatch.setattr("tasks.evaluate.generation.load_text_generator", watched)
    for options in ((), ("--greedy",), ("--temperature", 0.5, "--max-new-tokens", 3)):
        say("", *options)
    assert [(one.temperature, one.max_new_tokens) for one in configs] == [(0.8, 12), (0.0, 12), (0.5, 3)]
    both = say("", "--greedy", "--temperature", 1)
    assert (both.code, "--greedy is --temperature 0" in both.err) == (2, True)


def test_sampling_again_gives_another_reply_and_the_same_session_the_same(say: Say) -> None:
    lines = "Hi\n/reset\nHi\n"
    result = say(lines, "--temperature", 2)
    first, second = result.out.splitlines()[0], result.out.splitlines()[-1]
    assert first != second
    assert say(lines, "--temperature", 2).out == result.out


def test_the_oldest_turns_go_whole_when_the_context_is_full(file: Path, seen: list[list[dict[str, Any]]]) -> None:
    long = talk(file, max_new_tokens=900)  # of 1,024
    long.system = "Be kind."
    replies = 0
    while not long.unseen:
        long.turns += [{"role": "customer", "text": "Where is my order? " * 3}, {"role": "agent", "text": "Soon."}]
        replies += 1
        long.turns.append({"role": "customer", "text": "And now?"})
        ids = long._prompt()
        long.turns.pop()
    assert long.unseen == 2
    assert len(ids) <= 1024 - 900
    kept = seen[-1]
    assert [turn["role"] for turn in kept] == ["system", *["customer", "agent"] * (replies - 1), "customer"]
    assert len(prompt_ids(long._generator, seen[-2])) > 1024 - 900


def test_a_turn_that_gets_no_answer_is_forgotten(file: Path) -> None:
    one = talk(file)

    def stop(piece: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.reply("Hi", stop)
    assert one.turns == []


def test_pieces_that_are_shown_add_up_to_the_reply(file: Path) -> None:
    pieces: list[str] = []
    one = talk(file, max_new_tokens=40)
    assert one.reply("Where is it?", pieces.append) == "".join(pieces)
    assert len(pieces) > 1


def test_by_hand(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = iter(["Hi", "", "/reset", "Hello"])

    def typed(prompt: str) -> str:
        for line in lines:
            return line
        raise EOFError

    monkeypatch.setattr("builtins.input", typed)
    one = talk(file)
    hi, hello = one.reply("Hi"), talk(file).reply("Hello")
    one.reset()
    chat._interactive(one)
    assert capsys.readouterr() == (f"agent: {hi}\nagent: {hello}\n\n", f"{chat.HELP}\n")
    assert one.turns == [{"role": "customer", "text": "Hello"}, {"role": "agent", "text": hello}]


def test_no_model_is_told_with_what_makes_one(
    tmp_path: Path, file: Path, deskloop: Call, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path / "desk", [b"{}"])
    desk.extra = {"evaluate": {}}
    desk.save()
    for options in ((), ("--model", "candidate"), ("--model", "base")):
        refused = deskloop("chat", "-c", desk.file, *options)
        assert (refused.code, refused.out, f"with: deskloop run -c {desk.file}" in refused.err) == (2, "", True)
    gone = tmp_path / "gone"
    shutil.copytree(file.parent, gone)
    shutil.rmtree(gone / "store" / "models" / "desk" / f"{2:016d}")
    refused = deskloop("chat", "-c", gone / file.name)
    assert (refused.code, "is missing or incomplete. Restore it" in refused.err) == (1, True)

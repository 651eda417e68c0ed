"""A source that is read with wrong options stops the run, with the option that is likely to help."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.errors import InputError
from deskloop.contract.stage import Context
from deskloop.pipeline.load import load_pipeline
from deskloop.run.session import open_run, run_step
from tasks import stages
from tasks.ingest import IngestConfig, ingest
from tasks.ingest.look import pipeline_for
from tests.tasks.test_ingest import KEY, TURNS, collect, write_lines

TEXT = "Wo ist mein P\u00e4ckchen? Gr\u00fc\u00dfe aus M\u00fcnchen \u2013 bitte"


def records(count: int, text: str = TEXT, role: str = "agent") -> list[dict[str, Any]]:
    return [
        {"id": f"c{n}", "turns": [{"role": "customer", "text": text}, {"role": role, "text": "ok"}]}
        for n in range(count)
    ]


def encoded(path: Path, rows: list[dict[str, Any]], encoding: str) -> None:
    path.write_bytes(b"".join(json.dumps(row, ensure_ascii=False).encode(encoding) + b"\n" for row in rows))


def stopped(folder: Path, *sources: dict[str, Any], **options: Any) -> str:
    with pytest.raises(InputError) as error:
        collect(folder, *sources, **options)
    assert error.value.exit_code == 2
    return str(error.value)


def test_most_records_in_another_encoding_stop_the_run_and_name_it(tmp_path: Path) -> None:
    encoded(tmp_path / "x.jsonl", records(185), "cp1252")
    with (tmp_path / "x.jsonl").open("ab") as file:
        file.write(b"".join(json.dumps({"id": f"ok{n}", "turns": TURNS}).encode() + b"\n" for n in range(15)))
    told = stopped(tmp_path, {"path": "x.jsonl"})
    assert "sources[0] (x.jsonl): 185 of 200 records were rejected" in told
    assert (
        "(invalid_encoding 185), more than the share of 0.2 that `max_misread` allows, so nothing is published" in told
    )
    assert "It is not in utf-8; set `encoding: cp1252` on this source" in told
    assert collect(tmp_path, {"path": "x.jsonl", "encoding": "cp1252"})["reject"].isna().all()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TEXT, "cp1252"),
        ("Здравствуйте, где мой заказ?", "cp1251"),
        ("\u6ce8\u6587\u306f\u3069\u3053\u3067\u3059\u304b\u3042\u308a\u304c\u3068\u3046", "shift_jis"),
    ],
)  # fmt: skip
def test_init_proposes_the_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    encoded(tmp_path / "x.jsonl", records(30, text), encoding)
    assert f"encoding: {encoding}   #" in pipeline_for(str(tmp_path / "x.jsonl"), tmp_path)
    assert f"set `encoding: {encoding}`" in stopped(tmp_path, {"path": "x.jsonl"})


def test_init_proposes_no_encoding_for_utf_8(tmp_path: Path) -> None:
    encoded(tmp_path / "x.jsonl", records(30), "utf-8")
    assert "encoding:" not in pipeline_for(str(tmp_path / "x.jsonl"), tmp_path)


def test_utf_16_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes("\n".join(json.dumps(row) for row in records(30)).encode("utf-16-le"))
    told = stopped(tmp_path, {"path": "x.jsonl"})
    assert "iconv -f UTF-16 -t UTF-8" in told or "invalid_json" in told


def test_unknown_roles_are_named_where_they_are_words_for_roles(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", records(40, role="guide"))
    told = stopped(tmp_path, {"path": "x.jsonl"})
    assert "Undeclared roles: 'guide' (40 turns). Declare them, such as `roles: {guide: agent}`" in told
    assert "roles: {guide: agent}   # the other side" in pipeline_for(str(tmp_path / "x.jsonl"), tmp_path)
    assert collect(tmp_path, {"path": "x.jsonl"}, roles={"guide": "agent"})["reject"].isna().all()


@pytest.mark.parametrize(
    "roles", [["Anna"], ["Bob Smith"], ["ann.lee@x.example"], ["4155550100"], ["\x1b[2Jguide"], ["x" * 60]]
)
def test_names_and_odd_values_in_the_field_of_the_role_are_not_shown(tmp_path: Path, roles: list[str]) -> None:
    write_lines(tmp_path / "x.jsonl", [row for role in roles for row in records(40, role=role)])
    told = stopped(tmp_path, {"path": "x.jsonl"})
    assert "Undeclared roles: 1 value, not shown as possible names." in told
    page = pipeline_for(str(tmp_path / "x.jsonl"), tmp_path)
    assert not any(role in text for role in roles for text in (told, page))


def test_roles_that_occur_a_few_times_are_not_shown(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "x.jsonl", [row for n in range(30) for row in records(1, role=f"r{'abcdefghij'[n % 10]}{n}")]
    )
    assert "30 values, not shown as possible names" in stopped(tmp_path, {"path": "x.jsonl"})


def test_the_share_is_that_of_each_source(tmp_path: Path) -> None:
    write_lines(tmp_path / "good.jsonl", [{"id": f"g{n}", "turns": TURNS} for n in range(100)])
    encoded(tmp_path / "bad.jsonl", records(10), "cp1252")
    sources = [{"path": "good.jsonl"}, {"path": "bad.jsonl"}]
    assert "sources[1] (bad.jsonl): 10 of 10 records" in stopped(tmp_path, *sources)
    assert collect(tmp_path, *sources, max_misread=1.0)["reject"].notna().sum() == 10


def test_rejects_that_the_log_itself_causes_stop_no_run(tmp_path: Path) -> None:
    out = [{"id": f"o{n}", "turns": TURNS, "no": True} for n in range(20)]
    twice = [{"id": "a", "turns": TURNS}] * 20
    empty = [{"id": f"e{n}", "turns": []} for n in range(20)]
    silent = [{"id": f"s{n}", "turns": [{"role": "user", "text": " "}]} for n in range(20)]
    write_lines(tmp_path / "x.jsonl", out + twice + empty + silent)
    assert collect(tmp_path, {"path": "x.jsonl", "opt_out": "no"})["reject"].isna().sum() == 1


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"id": "a", "chat": []}, "(no_turns 9)"),
        ({"turns": [{"role": "user", "words": "hi"}]}, "(bad_turns 9)"),
        (b"hello", "(invalid_json 9)"),
        ([1], "(not_an_object 9)"),
        (
            {"id": 1, "requester_id": 5, "collaborator_ids": [6], "comments": [{"author_id": 6, "body": "x"}]},
            "Set `users`",
        ),
    ],
)
def test_each_reason_has_its_advice(tmp_path: Path, record: object, words: str) -> None:
    write_lines(tmp_path / "x.jsonl", [record] * 9)
    assert words in stopped(tmp_path, {"path": "x.jsonl"})


def test_reading_an_unreadable_file_stops_early(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"x\n" * 100_000)
    assert "20,000 of 20,000 records" in stopped(tmp_path, {"path": "x.jsonl"})


def test_a_sample_is_judged_by_itself(tmp_path: Path) -> None:
    encoded(tmp_path / "x.jsonl", records(50), "cp1252")
    config = IngestConfig.model_validate({"sources": [{"path": "x.jsonl"}]}, context=tmp_path)
    with pytest.raises(InputError, match="20 of 20 records"):
        list(ingest(config, Context("ingest", key=KEY, sample=20)))


@pytest.mark.parametrize("sample", [None, 10])
def test_nothing_is_published_of_a_misread_source(tmp_path: Path, sample: int | None) -> None:
    encoded(tmp_path / "x.jsonl", records(20), "cp1252")
    (tmp_path / "p.yaml").write_text("name: x\nworkers: 1\nsteps: [{ingest: {sources: [{path: x.jsonl}]}}, scrub]\n")
    pipeline = load_pipeline(tmp_path / "p.yaml", stages(), sample=sample)
    with open_run(pipeline, print) as run:
        with pytest.raises(InputError, match="set `encoding: cp1252` on this source"):
            run_step(run, pipeline.steps[0])
        assert run.engine.catalog.versions == []

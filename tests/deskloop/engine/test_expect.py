"""Suites run on real Great Expectations, and nothing of the data comes back but numbers (P1)."""

import io
import json
import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from deskloop.contract.errors import ConfigError, DataError
from deskloop.engine.data_docs import build_docs
from deskloop.engine.expect import Result, validate
from tests.expectations.tables import MODULES, good

REMOTE = re.compile(r"""(?:src|href|url|@import)[=(\s]*["']?(?:https?:)?//[^"'\s>]*|<script""")
CANARY = "zebra4711"
FACTS = {"rows_in": 3, "rows_out": 3, "rejected": 0, "added": 0}

# What a newcomer could write: values as observed aggregates, in lists, and in the messages of exceptions.
LEAKY = """
import pyarrow as pa

def measure(table):
    return table

def suite():
    import great_expectations.expectations as gxe
    from great_expectations.expectations.expectation import BatchExpectation

    class ExpectTrouble(BatchExpectation):
        text: str = ""
        metric_dependencies = ("table.row_count",)

        def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
            batch = execution_engine.batch_manager.active_batch_data.dataframe
            raise LookupError(" and\\n".join(batch["text"]))

    return [
        gxe.ExpectColumnMaxToBeBetween(column="text", description="max", severity="warning"),
        gxe.ExpectColumnDistinctValuesToBeInSet(column="text", value_set=["b"], description="set"),
        gxe.ExpectColumnMostCommonValueToBeInSet(column="text", value_set=["b"], description="mode"),
        gxe.ExpectColumnValuesToBeInSet(column="text", value_set=["b"], description="values"),
        gxe.ExpectColumnMeanToBeBetween(column="text", max_value=1, description="mean", severity="warning"),
        ExpectTrouble(description="trouble", severity="warning"),
        gxe.ExpectColumnMinToBeBetween(column="nowhere", min_value=1, severity="warning"),
    ]
"""


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "leaky.py").write_text(LEAKY)
    (tmp_path / "half.py").write_text("def suite():\n    return []\n")
    yield tmp_path
    for name in ("leaky", "half"):
        sys.modules.pop(name, None)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that reaches the root logger; caplog would also listen to loggers that do not propagate."""
    root, level, text = logging.getLogger(), logging.getLogger().level, io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


def test_results_are_whole_and_in_the_suite_s_order() -> None:
    data = good("scrubbed")
    data.rows[4]["row_id"] = data.rows[3]["row_id"]
    results = validate("expectations.scrubbed", [data.table()], data.facts).results
    assert results[:5] == [
        Result("expect_table_row_count_to_be_between", "At least one row is left", "critical", True, 120.0, 0, 120),
        Result("expect_column_values_to_not_be_null", "Every row has an id", "critical", True, None, 0, 120),
        Result("expect_column_values_to_be_unique", "No two rows share an id", "critical", False, None, 2, 120),
        Result(
            "expect_column_values_to_not_match_regex",
            "No id looks like an e-mail address, a phone number or an account number",
            "critical",
            True,
            None,
            0,
            120,
        ),
        Result(
            "expect_rows_to_be_accounted_for",
            "Every input row is in the output or rejected with a reason",
            "critical",
            True,
            0.0,
            0,
            120,
        ),
    ]


@pytest.mark.parametrize("module", MODULES)
def test_batches_and_slices_give_the_same_results_as_one_table(module: str) -> None:
    data = good(module)
    table = data.table()
    batches = [table.schema.empty_table(), table.slice(0, 7), table.slice(7, 50), table.slice(57)]
    name = f"expectations.{module}"
    assert validate(name, iter(batches), data.facts) == validate(name, [table], data.facts)


def test_only_critical_failures_forbid_publishing() -> None:
    data = good("scrubbed")
    data.rows[0]["turns"][2]["text"] = "Write to jane@example.com"
    data.facts |= {"rows_in": 119}
    validation = validate("expectations.scrubbed", [data.table()], data.facts)
    warned = [result.description for result in validation.results if not result.passed and result.severity == "warning"]
    assert warned == ["No text holds anything like an e-mail address"]
    assert [result.expectation for result in validation.critical] == ["expect_rows_to_be_accounted_for"]


def test_a_suite_that_raises_fails_critically_with_the_type_alone(suites: Path) -> None:
    results = validate("leaky", [pa.table({"text": [CANARY, "a", "b"]})], FACTS).results
    assert [(result.description, result.severity, result.passed, result.error) for result in results] == [
        ("max", "warning", True, None),
        ("set", "critical", False, None),
        ("mode", "critical", False, None),
        ("values", "critical", False, None),
        ("mean", "critical", False, "TypeError"),
        ("trouble", "critical", False, "LookupError"),
        ("expect column min to be between", "critical", False, "InvalidMetricAccessorDomainKwargsKeyError"),
    ]
    assert [result.unexpected for result in results] == [0, 0, 0, 2, 0, 0, 0]
    assert {result.observed for result in results} == {None}


def _kept(folder: Path) -> str:
    return "".join(str(path) + path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def test_no_value_is_kept_in_results_documents_or_data_docs(
    suites: Path, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    validations = {"leak": validate("leaky", [pa.table({"text": [CANARY, "a", CANARY]})], FACTS)}
    for module in MODULES:
        data = good(module)
        for name in ("row_id", "conversation_id", "intent", "family", "split", "language", "origin"):
            for row in data.rows[:80]:
                if name in row:
                    row[name] = f"{CANARY}@{name}"
        for row in data.rows[:80]:
            if "turns" in row:
                row["turns"][0] |= {"text": f"  {CANARY}@a.test <b>4111 1111 1111 1111", "role": CANARY}
                row |= {"customer_keys": [CANARY], "metadata": [("mail", f"{CANARY}@b.test")], "source": CANARY}
        validations[module] = validate(f"expectations.{module}", [data.table()], data.facts)
    folder = suites / "docs"
    build_docs({step: validation.document for step, validation in validations.items()}, folder)
    results = [asdict(result) for validation in validations.values() for result in validation.results]
    output = capfd.readouterr()
    kept = json.dumps(results) + json.dumps([validation.document for validation in validations.values()])
    assert sum(not result["passed"] for result in results) > 40
    assert CANARY not in kept
    assert CANARY not in _kept(folder)
    assert output.err == output.out == ""
    assert "great_expectations" not in logged.getvalue()
    assert CANARY not in logged.getvalue()


def test_data_docs_are_rebuilt_from_stored_documents(tmp_path: Path) -> None:
    """A reused step's validation comes from the catalog: another process, which never ran the suite."""
    data = good("deduped")
    data.rows[0]["family"] = data.rows[-1]["family"]
    document = json.loads(json.dumps(validate("expectations.deduped", [data.table()], data.facts).document))
    (tmp_path / "document.json").write_text(json.dumps(document))
    script = """
        import json, sys
        from pathlib import Path
        from deskloop.engine.data_docs import build_docs
        folder = Path(sys.argv[1])
        documents = {"dedupe": json.loads((folder / "document.json").read_text())}
        build_docs(documents, folder / "docs", "run-1")
        build_docs(documents, folder / "docs", "run-2")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=True, timeout=120)
    pages = list((tmp_path / "docs" / "validations").rglob("*.html"))
    assert [page.relative_to(tmp_path / "docs").parts[:3] for page in pages] == [("validations", "dedupe", "run-2")]
    page = pages[0].read_text()
    assert "No family is in two splits" in page
    assert "Traceback" not in page
    hosts = [found for file in (tmp_path / "docs").rglob("*.html") for found in REMOTE.findall(file.read_text())]
    assert hosts == []
    assert {file.suffix for file in (tmp_path / "docs").rglob("*") if file.is_file()} == {".html"}
    assert page.count('<i class="fas fa-check-circle') == document["statistics"]["successful_expectations"]
    index = (tmp_path / "docs" / "index.html").read_text()
    assert f'<a href="{pages[0].relative_to(tmp_path / "docs").as_posix()}">dedupe</a>' in index
    assert str(tmp_path) not in _kept(tmp_path / "docs").replace(str(tmp_path / "docs"), "")


def test_what_is_missing_is_refused(suites: Path) -> None:
    table = good("split").table()
    with pytest.raises(ConfigError, match=r"no expectation suite 'expectations.nothing'"):
        validate("expectations.nothing", [table], FACTS)
    with pytest.raises(ConfigError, match=r"'half' lacks measure\(\)"):
        validate("half", [table], FACTS)
    with pytest.raises(DataError, match=r"expected at least one batch, got none"):
        validate("expectations.split", [], FACTS)
    with pytest.raises(DataError, match=r"needs the facts max_length; it got added, rejected, rows_in, rows_out"):
        validate("expectations.encoded", [good("encoded").table()], FACTS)


def test_importing_it_does_not_load_great_expectations() -> None:
    code = "import sys, deskloop.engine.expect; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0

"""Great Expectations' Data Docs, readable offline: one inline style, no script, and nothing from another host.

The library's pages load their styles, icons and scripts from eight hosts, so that without a network the status of an
expectation stays blank. After rendering, these references are replaced by the style sheet beside this file.
"""

import importlib
import re
import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deskloop.engine.expect import new_context
from deskloop.pipeline.expectations import great_expectations, silenced
from deskloop.pipeline.extensions import suite_of

STYLE = Path(__file__).with_suffix(".css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser refuses all else
REMOTE = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<link\b[^>]*>|<img\b[^>]*>|<footer>.*?</footer>", re.DOTALL
)
OUTWARD = re.compile(r'<a\b[^>]*href="https?:[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def build_docs(validations: Mapping[str, Mapping[str, Any]], folder: Path, run_id: str = "run") -> Path:
    """Build the Data Docs of a run: a page for each step, and an index.

    Args:
        validations: step name to the `document` of its validation, of this run or from the catalog.
        folder: becomes the site; an earlier one in it is replaced.
        run_id: the name of the run on the pages.
    Returns:
        The site's `index.html`.
    """
    gx = great_expectations()
    load = importlib.import_module("great_expectations.core.expectation_validation_result")
    identifiers = importlib.import_module("great_expectations.data_context.types.resource_identifiers")
    run = importlib.import_module("great_expectations.core.run_identifier").RunIdentifier(run_name=run_id)
    with silenced():
        context = new_context({"deskloop": _site(folder)})
        for step, document in validations.items():
            # The classes of the expectations render the pages; making the suite registers them.
            expectations = suite_of(document["suite_name"]).suite()
            context.suites.add(gx.ExpectationSuite(name=step, expectations=expectations))
            result = load.expectationSuiteValidationResultSchema.load({**document, "suite_name": step})
            result.meta["run_id"] = run
            name = identifiers.ExpectationSuiteIdentifier(step)
            context.validation_results_store.set(identifiers.ValidationResultIdentifier(name, run, step), result)
        context.build_data_docs()
    shutil.rmtree(folder / "static")  # fonts, images and styles that no page needs
    for page in folder.rglob("*.html"):
        page.write_text(_offline(page.read_text("utf-8")), "utf-8")
    _list_pages(folder, validations)
    return folder / "index.html"


def _offline(page: str) -> str:
    """Return a page without scripts and references to other hosts, with a style of its own."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE.read_text("utf-8")}</style>'
    return OUTWARD.sub(r"\1", REMOTE.sub("", page)).replace("</head>", f"{head}</head>", 1)


def _site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "show_how_to_buttons": False,
    }


def _list_pages(folder: Path, validations: Mapping[str, Mapping[str, Any]]) -> None:
    """Add a table of the steps to the index: its own table is drawn by a script."""
    pages = {page.stem: page.relative_to(folder).as_posix() for page in (folder / "validations").rglob("*.html")}
    rows = []
    for step, document in validations.items():
        icon = "fa-check-circle text-success" if document["success"] else "fa-times text-danger"
        counts = document["statistics"]
        rows.append(
            f'<tr><td><i class="fas {icon}"></i></td><td><a href="{quote(pages[step])}">{escape(step)}</a></td>'
            f"<td>{counts['successful_expectations']} of {counts['evaluated_expectations']}</td></tr>"
        )
    head = "<thead><tr><th>Status</th><th>Step</th><th>Expectations met</th></tr></thead>"
    table = f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"
    index = folder / "index.html"
    index.write_text(index.read_text("utf-8").replace("</body>", f"{table}</body>"), "utf-8")

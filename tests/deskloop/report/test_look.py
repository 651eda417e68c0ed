"""How the report looks: colours that can be told apart, and a page that fits a phone and a desk."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deskloop.report.test_report import render

GOLDEN = Path(__file__).parent / "golden"
PAGES = {name: render(json.loads((GOLDEN / f"{name}.json").read_text())) for name in ("run", "prepare", "failed")}
WIDTHS = (390, 1400)  # pixels: a phone, a desk
# Every element that is wider inside than it is; what is inside a box that scrolls, or is cut on purpose, may be.
MEASURE = """
const wide = f => [...f.document.querySelectorAll('body *')].filter(one =>
  one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 &&
  !one.closest('.scroll, svg, .unseen, .skip') && f.getComputedStyle(one).display !== 'inline');
onload = () => {
  const told = Array.from(frames, f => {
    f.document.querySelectorAll('details').forEach(one => one.open = true);
    return [f.document.documentElement.scrollWidth, ...wide(f).map(one => one.tagName + '.' + one.className)].join(' ');
  });
  document.title = told.join();
};
"""


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme: int) -> None:
    """Text 4.5:1 on the page and on tinted ground, what is drawn 3:1 (WCAG 2.2, 1.4.3 and 1.4.11)."""
    block = re.findall(r":root \{(.*?)\}", PAGES["run"], flags=re.S)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    assert len(colours) > 12

    def ratio(front: str, back: str) -> float:
        bright, dim = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        return (bright + 0.05) / (dim + 0.05)

    for back in ("page", "soft"):
        for front in ("ink", "muted", "good", "warn", "bad", "blue"):
            assert ratio(front, back) >= 4.5, (front, back)
    for front, back in (("ink", "mark"), ("muted", "mark"), ("ink", "bad-soft")):
        assert ratio(front, back) >= 4.5, (front, back)
    for kind in ("good", "warn", "bad"):
        assert ratio(kind, f"{kind}-soft") >= 4.5, kind
    for front in ("blue", "orange", "green", "slate", "violet", "grey"):
        assert ratio(front, "page") >= 3, front


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_a_browser_fits_it_on_a_phone_and_a_desk(tmp_path: Path) -> None:
    """No page and no element is wider than its box, with everything unfolded; what is wide scrolls inside."""
    framed = "".join(
        f'<iframe width="{width}" srcdoc="{attribute(page)}"></iframe>' for page in PAGES.values() for width in WIDTHS
    )
    script = f"<script>{MEASURE}</script>"
    (tmp_path / "frames.html").write_text(f"<!doctype html><style>iframe {{border: 0}}</style>{script}{framed}")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += [
        "--hide-scrollbars",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command = ["chromium", "--headless", *quiet, "--dump-dom", (tmp_path / "frames.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.findall(r"<title>(.*?)</title>", shown)[0].split(",")
    assert found == [str(width) for _ in PAGES for width in WIDTHS]


def attribute(text: str) -> str:
    """Text as the value of an HTML attribute in double quotes."""
    return text.replace("&", "&amp;").replace('"', "&quot;")

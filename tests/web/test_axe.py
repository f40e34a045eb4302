"""axe-core on every page that people meet in a browser: review page and reports, light and dark, phone width."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from deciding import settle
from in_shell import rung

from curation.review import Ruling, decide, next_item
from rung.report import page as report_page

pytest.importorskip("axe_playwright_python")
PHONE = {"width": 390, "height": 800}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TEMPLATES = Path(report_page.__file__).parent / "templates"


@pytest.fixture(scope="session")
def axe() -> str:
    return (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def faults(page, axe: str) -> Iterator[str]:
    """Yield axe's findings on the page as it is, and whether it is wider than the screen; light, then dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # a colour that fades is none yet
        page.evaluate(axe)
        found = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
        for fault in found["violations"]:
            yield f"{page.url} {scheme}: {fault['id']}: {fault['nodes'][0]['html'][:150]}"
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            yield f"{page.url} {scheme}: wider than {page.viewport_size['width']}"


def test_every_page_of_a_reviewers_day(make_site, serving, open_page, axe: str):
    site = make_site(3)
    address = serving(site.desk)
    page = open_page(address + site.link("dana"), viewport=PHONE, bypass_csp=True)
    found = [*faults(page, axe)]
    for opens, shows in (("e", "#text"), ("x", "#reasons")):
        page.keyboard.press(opens)
        page.wait_for_selector(shows)
        found += faults(page, axe)
        page.goto(f"{address}/")
    row = str(page.get_attribute("main", "data-row"))
    site.now[0] += 10_000
    settle(site.desk, "mo", "approve", want=row)
    page.keyboard.press("a")
    page.wait_for_selector("form[action='/contest']")
    found += faults(page, axe)
    while (left := next_item(site.desk, "mo").item) is not None:
        decide(site.desk, left.id, left.token, "mo", Ruling("approve"))
    page.goto(f"{address}/")
    found += faults(page, axe)
    page.goto(f"{address}/done")
    found += faults(page, axe)
    page.goto(f"{address}/enter/{'x' * 43}")
    found += faults(page, axe)
    assert not found


def test_the_leads_pages(make_site, serving, open_page, axe: str):
    site = make_site(4)
    item = settle(site.desk, "mo", "reject", reason="1")
    address = serving(site.desk)
    page = open_page(address + site.link("priya", role="lead"), viewport=PHONE, bypass_csp=True)
    found = []
    for path in ("team", "rows", f"alike?row={item.id}"):
        page.goto(f"{address}/{path}")
        found += faults(page, axe)
    assert not found


@pytest.mark.slow
def test_reports(chromium, axe: str, tmp_path: Path):
    answers = 'task = "classification"\nprompting = "partial"\nfew_shot = "insufficient"\nexamples = 300\n'
    (tmp_path / "answers.toml").write_text(f"{answers}privacy = 'sensitive'\ngoal_score = 0.8\n")
    rows = [f"How do I reset card number {n}?,{'cards' if n % 3 else 'a desk with a long name'}\n" for n in range(30)]
    (tmp_path / "rows.csv").write_text("question,answer\n" + "".join([*rows, *rows[:4]]))
    for words in (
        ("advise", "--answers", "answers.toml", "--report", "advice.html"),
        ("data", "check", "rows.csv", "--html", "check.html"),
        ("init",),
        ("data", "import", "rows.csv"),
        ("share",),
    ):
        done = rung(*words, cwd=tmp_path)
        assert done.returncode in (0, 1), done.stderr
    page = chromium.new_context(viewport=PHONE, bypass_csp=True).new_page()
    found: list[str] = []
    for name in ("advice.html", "check.html", "share.html"):
        page.goto((tmp_path / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found += faults(page, axe)
        for width in (PHONE["width"], 1200):
            page.set_viewport_size({"width": width, "height": 900})
            found += [f"{name} at {width}: {words} sticks out of its cell" for words in page.evaluate(STICKS_OUT)]
            found += [f"{name} at {width}: a plot of {cut}" for cut in page.evaluate(CUT)]
        page.set_viewport_size(PHONE)
    page.context.close()
    assert not found


STICKS_OUT = """() => [...document.querySelectorAll("td")].filter((td) => td.scrollWidth > td.clientWidth + 1)
  .map((td) => td.innerText)"""
CUT = """() => [...document.querySelectorAll("svg")].map((svg) => svg.parentElement)
  .filter((place) => place.scrollWidth > place.clientWidth + 1).map((place) => place.scrollWidth + " pixels")"""


def test_what_scrolls_sideways_in_a_report_can_be_reached_by_keyboard():
    wide = [
        tag
        for file in (*TEMPLATES.glob("*.html"), *TEMPLATES.parent.glob("*.py"))
        for tag in re.findall(r'<div class="wide"[^>]*>', file.read_text(encoding="utf-8"))
    ]
    assert len(wide) > 10 and not [tag for tag in wide if 'tabindex="0"' not in tag or "aria-label=" not in tag]

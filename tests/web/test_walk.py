"""In headless Chromium, on a real server: a reviewer's walk, and axe-core on every page that people meet."""

import importlib.resources
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from deciding import settle
from in_shell import rung

from curation.example import Example, chat_row
from curation.review.service import recent
from rung.report import page as report_page

HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'"> {{ 7*7 }} \u202egpj.exe'
)


def row_of(page) -> str:
    return str(page.get_attribute("main", "data-row"))


def press(page, key: str):
    """Press a key and wait for the next item."""
    before = row_of(page)
    page.keyboard.press(key)
    page.wait_for_function("row => document.querySelector('main').dataset.row !== row", arg=before)


def test_a_reviewers_hour(make_site, serving, open_page):
    """Log in by link, review ten by keys, edit one, reject one, undo, meet a conflict on a lease that is over."""
    site = make_site()
    address = serving(site.desk)
    page = open_page(address + site.link("dana"))
    assert page.evaluate("document.activeElement.id") == "item"
    assert "0 of 16" in page.inner_text(".progress")
    for key in "aaasaanaa":
        press(page, key)
    assert page.inner_text(".result").startswith("✓ Approved")
    assert page.inner_text("#said") == page.inner_text(".result"), "the result is announced"
    assert page.evaluate("document.activeElement.id") == "item", "focus lands on the item"

    edited = row_of(page)
    page.keyboard.press("e")
    page.wait_for_selector("#text")
    assert page.evaluate("document.activeElement.id") == "text"
    page.fill("#text", "E89.9")
    page.wait_for_selector("#changes ins")
    assert (page.inner_text("#changes del"), page.inner_text("#changes ins")) != ("", "")
    press(page, "Control+Enter")
    assert site.desk.store.row(edited).example.answer == "E89.9"
    assert site.desk.store.row(edited).original.answer != "E89.9", "the draft is kept"

    rejected = row_of(page)
    page.keyboard.press("m")
    page.keyboard.type("ask mo")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.wait_for_selector("#reasons")
    press(page, "2")
    assert site.state(rejected) == "rejected"
    last = recent(site.desk, 1)[0]
    assert (last.reviewer, last.reason, last.remark) == ("dana", "right answer, wrong form", "ask mo")
    press(page, "u")
    assert row_of(page) == rejected and site.state(rejected) == "leased"
    assert "8 today · 8 of 16 · 50%" in page.inner_text(".progress")

    site.now[0] += 1000  # the lease is over, and someone else decides
    settle(site.desk, "mo", "edit", want=rejected, text="S01.9")
    page.keyboard.press("a")
    page.wait_for_selector("form[action='/contest']")
    assert re.search(r"\bmo\b.* \d\d:\d\d \(S01\.9\)", page.inner_text("main"))
    page.click("form[action='/contest'] button")
    page.wait_for_selector("#decision")
    assert site.state(rejected) == "unsure"
    assert [line for line in page.faults if "409" not in line] == []


@pytest.mark.parametrize("width", [360, 1200])
def test_looks(make_site, serving, open_page, width: int):
    """Nothing sticks out, targets are large, on a phone the buttons stay at the bottom and the guideline is folded.

    Who reads in the dark prints dark on white, the guideline whole.
    """
    site = make_site(1)
    page = open_page(
        serving(site.desk) + site.link("dana"), viewport={"width": width, "height": 740}, reduced_motion="reduce"
    )
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 23, 27)")):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in page.query_selector_all(".bar button, .look button:visible"):
        box = button.bounding_box()
        assert box["height"] >= 44 and box["width"] >= 40, button.inner_text()
    tall = "document.querySelector('aside').style.minHeight = '3000px'; scrollTo(0, 0);"
    seen = page.evaluate(
        f"() => {{ {tall} const item = document.querySelector('#item'); item.blur(); item.focus(); return scrollY }}"
    )
    assert seen == 0, "a long guideline beside the row pushes nothing off the screen"
    page.evaluate("document.querySelector('aside').style.minHeight = ''")
    bar = page.query_selector(".bar").bounding_box()
    assert (bar["y"] + bar["height"] > 735) == (width == 360)
    assert page.is_visible("text=Code the complication") == (width == 1200)
    if width == 360:
        page.click(".guide summary")
    assert page.is_visible("text=Code the complication")
    page.fill("#find", "LATERALITY")
    assert page.is_visible("text=Laterality") and not page.is_visible("text=Code the complication")
    page.fill("#find", "")
    assert page.is_visible("text=Code the complication")
    for _ in range(2):
        page.click("text=A+")
    assert page.evaluate("document.documentElement.dataset.size") == "4"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "at 144% text"
    page.click("button[value=light]")
    for _ in range(3000):  # the three presses are sent one after another
        if any(cookie["value"] == "light.4" for cookie in page.context.cookies()):
            break
        page.wait_for_timeout(100)
    page.reload()
    assert page.get_attribute("html", "data-theme") == "light", "light though the system is dark"
    assert page.get_attribute("html", "data-size") == "4" and page.faults == []
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 29, 33)"
    assert page.evaluate("getComputedStyle(document.querySelector('.guide-text')).maxHeight") == "none"


def test_row_text_does_nothing(make_site, serving, open_page):
    site = make_site([Example(chat_row(HOSTILE, HOSTILE)), Example(chat_row("two", "2"))])
    page = open_page(serving(site.desk) + site.link("dana"))
    assert page.inner_text("#answer") == HOSTILE.replace("\u202e", "⟨U+202E⟩")
    page.keyboard.press("e")
    page.wait_for_selector("#text")
    assert page.input_value("#text") == HOSTILE, "an edit changes the row's own characters"
    assert "owned" not in page.title() and page.query_selector("main img, main script") is None
    page.click("[formaction='/forget']")
    page.wait_for_selector("#answer")
    assert page.faults == []


def test_server_gone_and_back(make_site, serving, open_page):
    """The form stays filled, with an answer in use by one click; "Send again" sends it."""
    rows = [Example(chat_row(f"question number {n}", ("cards", "rates & <fees>")[n % 2])) for n in range(12)]
    site = make_site(rows)
    page = open_page(serving(site.desk) + site.link("dana"))
    row = row_of(page)
    page.keyboard.press("e")
    page.wait_for_selector("#text")
    page.context.set_offline(True)
    page.click("text=rates & <fees>")
    page.click("button[value=edit].main")
    page.wait_for_selector("#notice button")
    assert page.input_value("#text") == "rates & <fees>"
    page.context.set_offline(False)
    page.click("#notice button")
    page.wait_for_selector(".result")
    assert site.desk.store.row(row).example.answer == "rates & <fees>" and site.state(row) == "edited"


def test_back_and_escape_leave_an_open_panel_and_not_the_page(make_site, serving, open_page):
    """Back or Esc leaves an edit (its text is kept), the reasons or a field first, never the review."""
    site = make_site()
    page = open_page(serving(site.desk) + site.link("dana"))
    row, address = row_of(page), page.url
    typed = ""
    for leave in (page.go_back, lambda: page.keyboard.press("Escape")):
        page.keyboard.press("e")
        page.wait_for_selector("#text")
        assert not typed or page.input_value("#text") == typed
        page.fill("#text", typed := "E89.9 in part")
        leave()
        page.wait_for_selector("[data-key=a]")
        page.keyboard.press("x")
        page.wait_for_selector("#reasons")
        leave()
        page.wait_for_selector("[data-key=a]")
        assert (row_of(page), page.url) == (row, address)
    page.keyboard.press("x")
    page.wait_for_selector("#reasons")
    page.click("#other")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "item" and page.query_selector("#reasons")
    press(page, "2")
    assert site.state(row) == "rejected"
    page.keyboard.press("Escape")
    page.go_back()
    assert page.url == address and page.query_selector("#decision"), "once more is not yet away"
    assert page.faults == []


PHONE = {"width": 390, "height": 800}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TEMPLATES = Path(report_page.__file__).parent / "templates"


@pytest.fixture(scope="session")
def axe() -> str:
    pytest.importorskip("axe_playwright_python")
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


def test_every_page_of_a_reviewers_and_of_a_leads_day(make_site, serving, open_page, axe: str):
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
    settle(site.desk, "mo", "reject", want=row, reason="1")
    page.keyboard.press("a")
    page.wait_for_selector("form[action='/contest']")
    found += faults(page, axe)
    for _ in range(2):
        settle(site.desk, "mo", "approve")
    page.goto(f"{address}/")
    found += faults(page, axe)
    page.goto(f"{address}/done")
    found += faults(page, axe)
    page.goto(f"{address}/enter/{'x' * 43}")
    found += faults(page, axe)
    page = open_page(address + site.link("priya", role="lead"), viewport=PHONE, bypass_csp=True)
    for path in ("team", "rows", f"alike?row={row}"):
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
            found += [f"{name} at {width}: {words} sticks out of its place" for words in page.evaluate(STICKS_OUT)]
        page.set_viewport_size(PHONE)
    page.context.close()
    assert not found


STICKS_OUT = """() => [...document.querySelectorAll("td, :has(> svg)")]
  .filter((place) => place.scrollWidth > place.clientWidth + 1).map((place) => place.innerText || "a plot")"""


def test_what_scrolls_sideways_in_a_report_can_be_reached_by_keyboard():
    wide = [
        tag
        for file in (*TEMPLATES.glob("*.html"), *TEMPLATES.parent.glob("*.py"))
        for tag in re.findall(r'<div class="wide"[^>]*>', file.read_text(encoding="utf-8"))
    ]
    assert len(wide) > 10 and not [tag for tag in wide if 'tabindex="0"' not in tag or "aria-label=" not in tag]

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from deciding import settle
from freezing import rows_of
from lxml.html import document_fromstring
from sqlalchemy import text
from starlette.testclient import TestClient

from curation.example import Example
from curation.review import Desk, invite, open_desk
from curation.store import NewRow
from rung.web.app import build_app
from rung.web.login import Door
from rung.web.serve import bind, host_names, server
from workspace.folder import Project
from workspace.settings import Settings

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
GUIDELINE = """# Coding guideline

## 2.4 Diabetes
Code the complication, not the symptom. "Peripheral" neuropathy
of both feet: **E11.42**, not `E11.40`.

Use E11.40 only if the note names no kind.

- E10: type 1
- E11: type 2

## 3.1 Injuries
Laterality is always coded: <b>left</b> or right.
"""


@dataclass
class Browser:
    """One reviewer's browser, without script: it sends the forms that it was given."""

    client: httpx.Client
    html: str = ""
    status: int = 0

    def get(self, path: str = "/", **more) -> Self:
        return self._took(self.client.get(path, **more))

    def press(self, action: str, to: str = "", **fields: str) -> Self:
        """Press a button of the form `action`; `to`: the button's own formaction."""
        data = {**self.form(action), **fields}
        return self._took(self.client.post(to or action, data=data))

    def rule(self, verdict: str, **fields: str) -> Self:
        return self.press("/decide", verdict=verdict, **fields)

    def _took(self, answer) -> Self:
        self.html, self.status = answer.text, answer.status_code
        self.answer = answer
        return self

    def form(self, action: str) -> dict[str, str]:
        """The fields of a form of the page, as a browser would send them."""
        root = document_fromstring(self.html)
        for given in root.iter("input"):
            given.set("value", given.get("value", ""))
        form = next(each for each in root.forms if each.get("action") == action)
        areas = {area.get("name") for area in form.iter("textarea")}
        return {name: value.removeprefix("\n") if name in areas else value for name, value in form.form_values()}

    @property
    def bare(self) -> str:
        """The page without its random tokens, in which any few letters may stand."""
        return re.sub(r'(name="(?:csrf|token)" value=)"[^"]*"', r"\1", self.html)

    @property
    def row(self) -> str:
        return self.form("/decide")["row"]

    @property
    def text(self) -> str:
        root = document_fromstring(self.html)
        for part in root.iter("td", "th", "li", "button"):
            part.text = f" {part.text or ''}"
        return str(root.text_content())

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", self.text)


@dataclass
class Site:
    """A project, its page, and people with links."""

    desk: Desk
    door: Door
    now: list[float]

    def client(self, base: str = "http://127.0.0.1:8642", peer: str = "127.0.0.1") -> TestClient:
        app = build_app(self.desk, host_names(self.desk.settings.web), self.door)
        return TestClient(app, base_url=base, client=(peer, 5000), raise_server_exceptions=False)

    def link(self, name: str, role: str = "reviewer", days: float = 14) -> str:
        return f"/enter/{invite(self.desk.store, name, role=role, days=days)}"

    def browser(self, name: str, role: str = "reviewer") -> Browser:
        """Someone who came by their link."""
        made = Browser(self.client())
        made.get(self.link(name, role))
        assert made.status == 200, made.html
        return made.get("/")

    def state(self, row: str) -> str:
        return self.desk.store.row(row).state

    def decisions(self) -> list[Any]:
        with self.desk.store.read() as connection:
            return list(connection.execute(text("SELECT row_id, verdict, reviewer_id FROM decisions ORDER BY id")))

    def stale(self, theirs: str | None, **fields: str) -> tuple[Browser, str]:
        """dana's form after its lease is over, and after mo decided: an edit to this text, if given."""
        dana = self.browser("dana")
        row = dana.row
        if fields.get("verdict") == "edit":
            dana.press("/decide", to="/open", panel="edit")
        self.now[0] += 1000
        if theirs is not None:
            settle(self.desk, "mo", "edit", want=row, text=theirs)
        return dana.press("/decide", **fields), row


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`make_site(rows=16, web={...}, **review settings)`: candidates of a medical coder's project."""
    opened: list[Desk] = []

    def make(rows: int | list[Example] | list[NewRow] = 16, web: dict[str, Any] | None = None, **review) -> Site:
        (tmp_path / "rung.toml").write_text("")
        (tmp_path / "guideline.md").write_text(GUIDELINE)
        settings = Settings.model_validate(
            {"review": review, "web": web or {}, "project": {"name": "icd10-coding", "person": "sam"}}
        )
        desk = open_desk(Project(tmp_path), settings)
        opened.append(desk)
        shift = [0.0]
        desk = Desk(desk.store, desk.project, settings, lambda: time.time() + shift[0])
        given = rows_of(rows) if isinstance(rows, int) else rows
        desk.store.add(given, role="candidates", origin="generated")
        return Site(desk, Door(desk, clock=lambda: shift[0]), shift)

    yield make
    for desk in opened:
        desk.store.close()


@pytest.fixture
def serving() -> Iterator[Callable[[Desk], str]]:
    """`serving(desk)`: the page on a real server on loopback; its address."""
    running: list[tuple[Any, threading.Thread, Any]] = []

    def start(desk: Desk) -> str:
        web = desk.settings.web.model_copy(update={"port": 0})
        opened = bind(web)
        serves = server(desk)
        thread = threading.Thread(target=serves.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        while not serves.started:
            time.sleep(0.01)
        running.append((serves, thread, opened))
        return f"http://127.0.0.1:{opened.getsockname()[1]}"

    yield start
    for serves, thread, opened in running:
        serves.should_exit = True
        thread.join(120)
        opened.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium) -> Iterator[Callable[..., Any]]:
    """`open_page(link, **context)`: a page of a new browser profile, which records what went wrong on it."""
    opened: list[Any] = []

    def make(link: str, **given):
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 800}, **given})
        context.set_default_timeout(300_000)
        opened.append(context)
        page = context.new_page()
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
        page.goto(link)
        page.wait_for_selector("#item, [data-closed]")
        page.wait_for_url(re.compile(r"/$"))
        return page

    yield make
    for context in opened:
        context.close()

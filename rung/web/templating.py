"""A request and its answer: the form's fields, and templates (autoescaped, undefined names are errors)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from curation.mask import mask
from curation.review import Reviewer, Ruling
from curation.review.guideline import reason_of
from curation.review.item import LABEL_KEYS
from rung.report.page import shown
from rung.text.message_text import clock_of
from rung.text.review_text import agreement_parts, agreement_words
from rung.web import view
from rung.web.login import Visitor
from rung.web.view import plain
from workspace.counted import counted, duration

THEMES = ("auto", "light", "dark")
SIZES = ("1", "2", "3", "4")
LOOK = "rung_look"
"""The cookie with a visitor's look."""
FIELDS = 40
"""Fields of a form that are read at most."""


@dataclass(frozen=True, slots=True)
class Look:
    """Theme and text size (1 to 4; 2 is the usual one), kept in a cookie."""

    theme: str = "auto"
    size: str = "2"

    @classmethod
    def read(cls, cookie: str) -> Look:
        """Out of `dark.3`; anything else is the usual look."""
        theme, _, size = cookie.partition(".")
        return cls(theme, size) if theme in THEMES and size in SIZES else cls()

    def changed(self, wish: str) -> Look:
        """Return the appearance after a press on `bigger`, `smaller`, `light` or `dark`."""
        step = {"bigger": 1, "smaller": -1}.get(wish, 0)
        return Look(wish if wish in THEMES else self.theme, str(min(4, max(1, int(self.size) + step))))

    def __str__(self) -> str:
        return f"{self.theme}.{self.size}"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Input of a page: the person, the request and its fields."""

    request: Request
    visitor: Visitor
    form: Mapping[str, str]

    @property
    def look(self) -> Look:
        """Return the visitor's choice of appearance."""
        return Look.read(self.request.cookies.get(LOOK, ""))

    @property
    def person(self) -> Reviewer:
        """Return the signed-in person."""
        return self.visitor.person

    def ruling(self, reasons: tuple[str, ...], before: str | None) -> Ruling:
        """Return the decision that the form holds; an edit that leaves the text `before` as it was is an approval.

        `label`, one of the answers in use, is an edit to that answer.
        """
        verdict = "edit" if "label" in self.form else self.form.get("verdict", "")
        text = plain(self.form.get("label", self.form.get("text", "")))
        if verdict == "edit" and before is not None and text == plain(before):
            verdict = "approve"
        reason = self.form.get("other", "").strip() or self.form.get("reason", "")
        return Ruling(
            verdict,
            text=text if verdict == "edit" else None,
            reason=reason_of(reason, reasons) if verdict == "reject" else "",
            remark=plain(self.form.get("remark", "")).strip(),
        )


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of an urlencoded form; the first of each name. Raises ValueError for too many of them."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS)
    return dict(reversed(pairs))


HERE = Path(__file__).parent
STATIC: Mapping[str, str] = {"review.css": "text/css", "review.js": "text/javascript", "icon.svg": "image/svg+xml"}
LONGEST = 200_000
"""Characters of a text that are drawn."""


@cache
def environment() -> Environment:
    """Return the templates of the review page."""
    made = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.filters |= {"shown": lambda text: shown(text, LONGEST), "short": view.short, "clock": clock_of}
    made.filters |= {"duration": duration, "counted": counted, "agreement": agreement_words}
    made.filters["agreement_parts"] = agreement_parts
    made.filters["masked"] = lambda text: mask(text or "")
    made.globals |= {"VERBS": view.VERBS, "label_keys": LABEL_KEYS}
    return made


def page(template: str, ask: PageRequest, status: int = 200, **values: Any) -> Response:
    """Return a page for a visitor."""
    text = environment().get_template(template).render(me=ask.person, csrf=ask.visitor.csrf, look=ask.look, **values)
    return HTMLResponse(text, status)


def closed(title: str, words: str, status: int, *, after: str = "", headers: Any = None) -> Response:
    """Return a page for someone who is not let in, or for an error: a heading, a sentence, perhaps a way on."""
    text = environment().get_template("closed.html").render(title=title, words=words, after=after)
    return HTMLResponse(text, status, headers)


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """Return bytes and type of one of the files that pages use."""
    return (HERE / "static" / name).read_bytes(), STATIC[name]

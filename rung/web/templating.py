"""A request and its answer: the form's fields, templates (autoescaped, undefined names are errors), texts as HTML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from curation.mask import mask
from curation.review import Reviewer, Ruling
from curation.review.guideline import reason_of
from curation.review.item import LABEL_KEYS
from rung.report.page import shown
from rung.text.message_text import VERBS as SHORT_VERBS
from rung.text.message_text import clock_of
from rung.text.review_text import agreement_parts, agreement_words
from rung.web.login import Visitor
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

    @property
    def row(self) -> str:
        """Return the id of the form's row; empty if it has none."""
        name = self.form.get("row", "")
        return name if is_row(name) else ""

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


def is_row(name: str) -> bool:
    """True if a text is the id of a row."""
    return re.fullmatch(r"r-[0-9]{1,17}", name) is not None


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
    made.filters |= {"shown": lambda text: shown(text, LONGEST), "short": short, "clock": clock_of}
    made.filters |= {"duration": duration, "counted": counted, "agreement": agreement_words}
    made.filters["agreement_parts"] = agreement_parts
    made.filters["masked"] = lambda text: mask(text or "")
    made.globals |= {"VERBS": VERBS, "label_keys": LABEL_KEYS}
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


VERBS = {
    **SHORT_VERBS,
    "edit": "edited and approved",
    "flag": "flagged for the adjudicator",
}


MOST_PAIRS = 4_000_000
"""Pairs of words that are compared at most (about a second); longer texts are compared line by line."""


def difference(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield parts of both texts, word by word: `same`, `gone` or `came`, with the text."""
    before, after = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (old, new))
    if len(before) * len(after) > MOST_PAIRS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield "same", "".join(before[a:b])
            continue
        if b > a:
            yield "gone", "".join(before[a:b])
        if d > c:
            yield "came", "".join(after[c:d])


def plain(text: str) -> str:
    """Return a text as a form sends it: line breaks as one character, so that the browser changes nothing."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def short(text: str | None, most: int = 60) -> str:
    """Return the first words of an answer, on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink", "reference"])


def guideline(text: str, find: str = "") -> Markup:
    """Return a guideline's Markdown as HTML: every heading as an h3, no link or picture, its markup as text.

    With `find` only the blocks that hold these words, each with its heading; empty if none does.
    """
    tokens = _markdown().parse(shown(plain(text), limit=len(text)))
    blocks: list[list[Token]] = []
    for token in tokens:
        token.attrs.pop("style", None)  # the page's own styles are the only ones
        if token.type.startswith("heading"):
            token.tag = "h3"
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    kept = [token for block in _holding(blocks, " ".join(find.lower().split())) for token in block]
    return Markup(_markdown().renderer.render(kept, _markdown().options, {}))


def _holding(blocks: list[list[Token]], words: str) -> list[list[Token]]:
    kept: list[list[Token]] = []
    heading: list[Token] | None = None
    for block in blocks:
        is_heading = block[0].type == "heading_open"
        heading = block if is_heading else heading
        if words in " ".join(" ".join(token.content for token in block).lower().split()):
            if heading is not None and not is_heading:
                kept.append(heading)
                heading = None
            kept.append(block)
            heading = None if is_heading else heading
    return kept

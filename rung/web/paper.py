"""Templates to answers: autoescaped, undefined names are errors, row text made visible."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from curation.quality.mask import mask
from rung.report.figures import duration
from rung.report.page import shown
from rung.web import view
from rung.web.asking import Ask, Look
from rung.web.guideline import with_marks

HERE = Path(__file__).parent
STATIC: Mapping[str, str] = {"review.css": "text/css", "review.js": "text/javascript", "icon.svg": "image/svg+xml"}
LONGEST = 200_000
"""Characters of a text that are drawn."""


@cache
def environment() -> Environment:
    """The templates of the review page."""
    made = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.filters |= {"shown": lambda text: shown(text, LONGEST), "short": view.short, "clock": view.clock}
    made.filters["duration"] = duration
    made.filters["masked"] = lambda text: mask(text or "")
    made.globals |= {"VERBS": view.VERBS, "with_marks": with_marks}
    return made


def page(template: str, ask: Ask, status: int = 200, **values: Any) -> Response:
    """A page for a visitor."""
    text = environment().get_template(template).render(me=ask.person, csrf=ask.visitor.csrf, look=ask.look, **values)
    return HTMLResponse(text, status)


def closed(title: str, words: str, status: int, look: Look, *, after: str = "", headers: Any = None) -> Response:
    """A page for someone who is not let in, or for an error: a heading, a sentence, perhaps a way on."""
    text = environment().get_template("closed.html").render(title=title, words=words, look=look, after=after)
    return HTMLResponse(text, status, headers)


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """Bytes and type of one of the files that pages use."""
    return (HERE / "static" / name).read_bytes(), STATIC[name]

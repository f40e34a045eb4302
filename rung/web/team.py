"""The lead's page: people, pace, agreement, what was remarked, and sending a row to review again."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from curation.review import Desk, progress
from curation.review.economics import economics
from curation.review.gold import known_by_person
from curation.review.standing import recent
from rung.report.review_words import economics_words
from rung.web.asking import Ask
from rung.web.pages import _common, _is_row
from rung.web.paper import page
from workspace.errors import RungError


def team_page(desk: Desk, ask: Ask) -> Response:
    """How the review stands, and the newest decisions."""
    known = {each.reviewer: each for each in known_by_person(desk.store)}
    return page("team.html", ask, **_common(desk, ask), stand=progress(desk), recent=recent(desk), known=known)


def economics_page(desk: Desk, ask: Ask) -> Response:
    """What the review costs and brings, as `rung review economics` says it."""
    return page("economics.html", ask, **_common(desk, ask), lines=list(economics_words(economics(desk))))


def reopen(desk: Desk, ask: Ask) -> Response:
    """Send a decided row to review again; the old decisions stay in the log."""
    name = ask.form.get("row", "")
    if not _is_row(name):
        raise RungError(f'"{name}" is no row.', "r-000012", found=name)
    desk.store.queue([name], "reopened", "reopened", actor=ask.person.name)
    return RedirectResponse("/team", 303)

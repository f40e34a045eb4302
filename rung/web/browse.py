"""The list of rows with its filters, and look-alikes that are accepted together."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from curation.review import Desk
from curation.review.browse import PAGE, STATES, approve_alike, browse, look_alikes
from curation.review.item import answers_in_use
from rung.web.pages import _common, _is_row
from rung.web.templating import PageRequest, page
from workspace.json_types import JsonObject


def rows_page(desk: Desk, ask: PageRequest) -> Response:
    """Show the rows in review, narrowed by state, answer and finding."""
    query = ask.request.query_params
    chosen = {name: query.get(name, "")[:200] for name in ("state", "label", "finding")}
    number = query.get("page", "1")
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
    found = browse(desk, **chosen, page=at)
    last = max(1, -(-found.total // PAGE))
    ways = {n: f"/rows?{urlencode({**chosen, 'page': n})}" for n in (at - 1, at + 1) if 1 <= n <= last}
    values: JsonObject = {"found": found, "chosen": chosen, "at": at, "last_page": last, "ways": ways}
    return page(
        "rows.html", ask, **_common(desk, ask), **values, states=list(STATES), labels=answers_in_use(desk.store)
    )


def alike_page(desk: Desk, ask: PageRequest) -> Response:
    """Show open rows that look like this one and have its answer."""
    name = ask.request.query_params.get("row", "")
    if not _is_row(name):
        return RedirectResponse("/", 303)
    row, found = desk.store.row(name), look_alikes(desk, ask.person, name)
    return page("alike.html", ask, **_common(desk, ask), row=row if found else None, found=found)


def accept_alike(desk: Desk, ask: PageRequest) -> Response:
    """Approve the marked look-alikes, each as this person's decision; then the row again."""
    name = ask.form.get("row", "")
    if not _is_row(name):
        return RedirectResponse("/", 303)
    made = approve_alike(desk, ask.person, name, {key: value for key, value in ask.form.items() if _is_row(key)})
    return RedirectResponse(f"/?row={name}&accepted={len(made)}", 303)

"""Whether a request shows an item as it is: only a form that its reviewer sent may, and the log tells it."""

from __future__ import annotations

from curation.review import Desk
from curation.review.masked import Veil, is_unmasked, log_unmasked
from rung.web.asking import Ask


def may_show(desk: Desk, ask: Ask, veil: Veil, panel: str) -> bool:
    """Whether the item is shown without masks; written to the log once a lease.

    It is asked for by `/unmask`, or by an edit whose text holds something; once asked for, the forms of that page
    say so (`unmasked`), and the log must agree.
    """
    if not veil.found or ask.request.method != "POST":
        return False
    known = is_unmasked(desk, ask.person.name, veil.of)
    asked = ask.request.url.path == "/unmask" or (panel == "edit" and veil.in_edit)
    if asked and not known:
        log_unmasked(desk, ask.person.name, veil.of, veil.found)
    return asked or (known and ask.form.get("unmasked") == "1")

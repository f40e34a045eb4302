"""The pages: an item, a decision, an undo, a conflict, the end of the day; functions of the desk and an Ask."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import RedirectResponse, Response

from curation.quality.mask import mask
from curation.review import Desk, Item, Ruling, decide, next_item, undo
from curation.review.labels import answers_in_use
from curation.review.leases import give_up, keep_draft, renew
from curation.review.masked import hidden_words, veiled
from curation.review.mixing import entry_words
from curation.review.reasons import reasons_now
from curation.review.standing import contest, day_of, decided_by_another, drop_draft, last_of
from curation.store.ids import number_of
from evaluation.human import FOLDER, PLAN
from rung.web import view
from rung.web.asking import Ask
from rung.web.guideline import blocks, found
from rung.web.masking import may_show
from rung.web.paper import page
from workspace.errors import Refusal, RungError


def show(desk: Desk, ask: Ask) -> Response:
    """The next item, or the one that `?row=` names where it is free; the empty page where nothing waits."""
    wanted = ask.request.query_params.get("row")
    turn = next_item(desk, ask.person.name, want=wanted if wanted and _is_row(wanted) else None)
    if turn.item is None and wanted:
        turn = next_item(desk, ask.person.name)
    if turn.item is None:
        return page("empty.html", ask, **_common(desk, ask), waiting=turn.waiting, day=_day(desk, ask))
    return _item(desk, ask, turn.item)


def open_panel(desk: Desk, ask: Ask) -> Response:
    """The same item with the edit field, the reasons or the difference open; what was typed is kept, as a draft too."""
    item = _held(desk, ask)
    if item is None:
        return _conflict(desk, ask, "")
    text = ask.form.get("text")
    if text is not None and view.plain(text) != view.plain(view.answer_of(item.row)):
        _keep(desk, ask, item, view.plain(text))
    return _item(desk, ask, item, panel=ask.form.get("panel", "edit"))


def unmask_page(desk: Desk, ask: Ask) -> Response:
    """The same item as it is, with what was open and typed; the log tells who looked."""
    item = _held(desk, ask)
    return _item(desk, ask, item, ask.form.get("at", "")) if item else _conflict(desk, ask, "")


def decide_page(desk: Desk, ask: Ask) -> Response:
    """Write the decision, then the next item. A stale form: 409 with what happened, and the text kept."""
    name = ask.form.get("row", "")
    ruling = _ruling(desk, ask)
    if ruling.verdict == "reject" and "reason" not in ask.form and "other" not in ask.form:
        item = _held(desk, ask)
        return _item(desk, ask, item, panel="reject") if item else _conflict(desk, ask, "")
    try:
        decide(desk, name, ask.form.get("token", ""), ask.person.name, ruling)
    except RungError as error:
        if isinstance(error, Refusal) and error.where == name:
            return _conflict(desk, ask, error.message)
        return _again(desk, ask, error)
    return RedirectResponse("/", 303)


def undo_page(desk: Desk, ask: Ask) -> Response:
    """Take back the newest standing decision (or the one on the row that the form names) and show that row again."""
    last = last_of(desk, ask.person)
    name = ask.form.get("row") or (last.row if last else "")
    if not name:
        return RedirectResponse("/", 303)
    undo(desk, name, ask.person.name)
    held = ask.form.get("held", "")
    if _is_row(held) and held != name:
        give_up(desk, ask.person, number_of(held))
    return RedirectResponse(f"/?row={name}&undone=1", 303)


def contest_page(desk: Desk, ask: Ask) -> Response:
    """Send the decision that stands and the one that came too late to a third person."""
    contest(desk, ask.person, ask.form.get("row", ""), _ruling(desk, ask))
    return RedirectResponse("/?sent=1", 303)


def done_page(desk: Desk, ask: Ask) -> Response:
    """Done for today: rows, minutes, agreement."""
    from curation.review import progress

    return page("done.html", ask, **_common(desk, ask), day=_day(desk, ask), agreement=progress(desk).agreement)


def stop(desk: Desk, ask: Ask) -> Response:
    """Give the open row back, so that others may have it, and show the end of the day."""
    name = ask.form.get("row", "")
    if _is_row(name):
        give_up(desk, ask.person, number_of(name))
    return RedirectResponse("/done", 303)


def forget(desk: Desk, ask: Ask) -> Response:
    """Leave the answer as it was: the draft goes, the row stays open."""
    name = ask.form.get("row", "")
    if _is_row(name):
        drop_draft(desk, ask.person, name)
    return RedirectResponse(f"/?row={name}" if _is_row(name) else "/", 303)


def _ruling(desk: Desk, ask: Ask) -> Ruling:
    """The decision in the form, held against the row as it stands."""
    before = None
    if ask.form.get("verdict") == "edit":
        row = desk.shown(desk.store.row(ask.form.get("row", "")))
        before = view.answer_of(row.row) or None
    return ask.ruling(reasons_now(desk), before)


def _item(desk: Desk, ask: Ask, item: Item, panel: str = "", problem: str = "", status: int = 200) -> Response:
    """The page of one item, with masks unless this request may show it as it is."""
    veil = veiled(item)
    unmasked = may_show(desk, ask, veil, panel)
    face = item if unmasked else veil.item
    text = ask.form.get("text") if ask.form.get("row") == item.id else None
    drafted = item.draft is not None and text is None
    unanswered = item.answer is None and not item.row.get("text")
    opened = panel or ("edit" if (drafted or unanswered) and (unmasked or not veil.in_edit) else "")
    before = view.answer_of(face.row)
    if text is None:
        text = view.answer_of(item.draft) if item.draft is not None else view.answer_of(item.row)
    text = view.plain(text) if opened == "edit" else ""
    find = ask.request.query_params.get("find", "")[:200]
    parts = list(blocks(item.guideline.text)) if item.guideline else []
    values: dict[str, Any] = {
        "item": face,
        "turns": view.turns(face),
        "before": before,
        "text": text,
        "rejected": view.rejected_of(face),
        "changes": list(view.difference(view.plain(before), text)) if opened == "edit" else [],
        "panel": opened,
        "in_use": _in_use(desk, unmasked) if opened == "edit" else (),
        "drafted": drafted,
        "hidden": hidden_words(veil.found),
        "unmasked": unmasked,
        "remark": ask.form.get("remark", ""),
        "near": [side for side in face.near if side.verdict in ("approved", "edited", "rejected")],
        "guide": found(parts, find),
        "find": find,
        "problem": problem,
        "until": view.clock(item.until),
        "origin": view.origin(item),
    }
    return page("item.html", ask, status, **_common(desk, ask), **values)


def _in_use(desk: Desk, unmasked: bool) -> list[str]:
    """Answers that are offered; with something to mask in them only where this item is shown as it is."""
    return [answer for answer in answers_in_use(desk.store) if unmasked or mask(answer) == answer]


def _again(desk: Desk, ask: Ask, error: RungError) -> Response:
    """The same item with what is wrong said on it: nothing typed is lost."""
    item = _held(desk, ask)
    if item is None:
        raise error
    panel = "edit" if ask.form.get("verdict") == "edit" else "reject" if ask.form.get("verdict") == "reject" else ""
    words = f"{error.message} Nothing was decided."
    return _item(desk, ask, item, panel, words, 503 if error.where == desk.store.where else 400)


def _conflict(desk: Desk, ask: Ask, message: str) -> Response:
    """409: who decided, when and what; what this person wrote; and the ways on."""
    name = ask.form.get("row", "")
    other = decided_by_another(desk, ask.person, name) if _is_row(name) else None
    values = {
        "row": name,
        "other": other,
        "why": message or f"{name}: the row is no longer kept for you.",
        "mine": view.plain(ask.form.get("text", "")) if ask.form.get("verdict") == "edit" or not message else "",
        "can_send": other is not None and ask.form.get("verdict") in ("approve", "edit", "reject"),
        "form": ask.form,
    }
    return page("conflict.html", ask, 409, **_common(desk, ask), **values)


def _held(desk: Desk, ask: Ask) -> Item | None:
    """The item that the form is about, if this person still holds it under the same token; its time starts anew."""
    name = desk.store.row(ask.form.get("row", "")).id
    if renew(desk, ask.person, number_of(name), ask.form.get("token", "")) is None:
        return None
    return next_item(desk, ask.person.name, want=name).item


def _keep(desk: Desk, ask: Ask, item: Item, text: str) -> None:
    """Keep the text of an edit that is not done; one that breaks the rules of rows is kept by the form alone."""
    from curation.example import Example
    from curation.review.edits import with_text

    try:
        payload = with_text(Example(item.row), text)
    except RungError:
        return
    with desk.store.write() as connection:
        keep_draft(connection, number_of(item.id), ask.person.id, payload)


def _common(desk: Desk, ask: Ask) -> dict[str, Any]:
    """What every page of a signed-in person shows."""
    query = ask.request.query_params
    return {
        "project": desk.settings.project.name or desk.project.name,
        "last": last_of(desk, ask.person),
        "undone": "undone" in query,
        "sent": "sent" in query,
        "today": _day(desk, ask).rows,
        "note": entry_words(desk.store, desk.settings, ask.person),
        "has_team": ask.person.role == "lead",
        "has_compare": any(desk.project.evaluations.glob(f"*/{FOLDER}/{PLAN}")),
        "can_leave": ask.visitor.link,
        "owner": desk.settings.project.person,
    }


def _day(desk: Desk, ask: Ask) -> Any:
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return day_of(desk, ask.person, midnight)


def _is_row(name: str) -> bool:
    return name.startswith("r-") and name[2:].isascii() and name[2:].isdigit() and len(name) < 20

"""The pages: an item, a decision, an undo, a conflict, the end of the day, the team, the list of rows with its filters,
look-alikes that are accepted together, the blind comparison.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from curation.example import Example, edited_text
from curation.mask import mask
from curation.review import Desk, ReviewItem, Ruling, decide, next_item, progress, undo
from curation.review.guideline import reasons_now
from curation.review.item import (
    OtherDecision,
    Veil,
    answers_in_use,
    hidden_words,
    is_unmasked,
    log_unmasked,
    veiled,
    veiled_near,
)
from curation.review.leases import give_up, renew
from curation.review.progress import failed_sample
from curation.review.rows import PAGE, STATES, approve_alike, browse, look_alikes
from curation.review.ruling import with_text
from curation.review.service import contest, day_of, decided_by_another, last_of, may_contest, recent
from curation.store.decision_log import drop_drafts, keep_draft
from curation.store.records import DECIDED, number_of
from evaluation.people_comparison import FOLDER, PLAN, begun_comparison, log_shown, read_result
from rung.report.evaluation import write_page
from rung.start import GUIDELINE
from rung.text.evaluation_text import preference_words
from rung.text.message_text import clock_of, turns, worse_answer
from rung.text.review_text import failed_text, origin
from rung.web.login import Door
from rung.web.templating import LOOK, PageRequest, closed, difference, guideline, is_row, page, plain, short
from workspace.errors import Refusal, RungError
from workspace.json_types import JsonObject

UNSURE = 422
"""Status of a page that asks for the same text again before it is saved."""
MOST_NEAR = 5
"""Decided rows beside an item."""


def show(desk: Desk, ask: PageRequest) -> Response:
    """Return the next item, or the one that `?row=` names where it is free; the empty page where nothing waits."""
    wanted = ask.request.query_params.get("row")
    turn = next_item(desk, ask.person.name, want=wanted if wanted and is_row(wanted) else None)
    if turn.item is None and wanted:
        turn = next_item(desk, ask.person.name)
    if turn.item is None:
        return page("empty.html", ask, **_common(desk, ask), waiting=turn.waiting, day=_day(desk, ask))
    return _item(desk, ask, turn.item)


def open_panel(desk: Desk, ask: PageRequest) -> Response:
    """Show the same item with the edit field, the reasons or the difference open. Typed text is kept as a draft."""
    item = _held(desk, ask)
    if item is None:
        return _conflict(desk, ask, "")
    text = ask.form.get("text")
    if text is not None and plain(text) != plain(edited_text(item.row)):
        _keep(desk, ask, item, plain(text))
    return _item(desk, ask, item, panel=ask.form.get("panel", "edit"))


def unmask_page(desk: Desk, ask: PageRequest) -> Response:
    """Return the same item without masks, with the open panel and the typed text. The log records who looked."""
    return _again(desk, ask, ask.form.get("at", ""))


def decide_page(desk: Desk, ask: PageRequest) -> Response:
    """Write the decision, then the next item. A stale form: 409 with what happened, and the text kept."""
    name = ask.form.get("row", "")
    ruling = _ruling(desk, ask)
    if ruling.verdict == "reject" and "reason" not in ask.form and "other" not in ask.form:
        return _again(desk, ask, "reject")
    if _is_new(desk, ask, ruling):
        words = f'No other row has the answer "{short(mask(ruling.text or ""))}". Save again to keep it.'
        return _again(desk, ask, "edit", words, UNSURE)
    try:
        made = decide(desk, name, ask.form.get("token", ""), ask.person.name, ruling)
    except RungError as error:
        if isinstance(error, Refusal) and error.where == name:
            return _conflict(desk, ask, error.message)
        panel = verdict if (verdict := ask.form.get("verdict", "")) in ("edit", "reject") else ""
        status = 503 if error.where == desk.store.where else 400
        return _again(desk, ask, panel, f"{error.message} Nothing was decided.", status)
    return RedirectResponse(f"/?decided={name}" if made.failed else "/", 303)


def _is_new(desk: Desk, ask: PageRequest, ruling: Ruling) -> bool:
    """True if answers are labels and an edit has a new, unconfirmed one: it may be a typo."""
    if ruling.verdict != "edit" or ask.form.get("sure") == plain(ask.form.get("text", "")):
        return False
    labels = answers_in_use(desk.store)
    return bool(labels) and ruling.text not in labels


def undo_page(desk: Desk, ask: PageRequest) -> Response:
    """Take back the newest standing decision (or the one on the row that the form names) and show that row again."""
    last = last_of(desk, ask.person)
    name = ask.form.get("row") or (last.row if last else "")
    if not name:
        return RedirectResponse("/", 303)
    undo(desk, name, ask.person.name)
    held = ask.form.get("held", "")
    if is_row(held) and held != name:
        give_up(desk, ask.person, number_of(held))
    return RedirectResponse(f"/?row={name}&undone=1", 303)


def contest_page(desk: Desk, ask: PageRequest) -> Response:
    """Send the earlier decision and the late one to a third person."""
    contest(desk, ask.person, ask.form.get("row", ""), ask.form.get("token", ""), _ruling(desk, ask))
    return RedirectResponse("/?sent=1", 303)


def done_page(desk: Desk, ask: PageRequest) -> Response:
    """Show the end of the day: rows, minutes, agreement."""
    return page("done.html", ask, **_common(desk, ask), day=_day(desk, ask), agreement=progress(desk).agreement)


def stop(desk: Desk, ask: PageRequest) -> Response:
    """Give the open row back, so that others may have it, and show the end of the day."""
    if ask.row:
        give_up(desk, ask.person, number_of(ask.row))
    return RedirectResponse("/done", 303)


def forget(desk: Desk, ask: PageRequest) -> Response:
    """Leave the answer as it was: the draft goes, the row stays open."""
    if ask.row:
        with desk.store.write() as connection:
            drop_drafts(connection, number_of(ask.row), ask.person.id)
    return RedirectResponse(f"/?row={ask.row}" if ask.row else "/", 303)


def _ruling(desk: Desk, ask: PageRequest) -> Ruling:
    """Return the decision in the form, checked against the row's present state."""
    before = None
    if "label" in ask.form or ask.form.get("verdict") == "edit":
        row = desk.store.row(ask.form.get("row", "")).example
        before = edited_text(row.row) or None
    return ask.ruling(reasons_now(desk), before)


def _item(
    desk: Desk, ask: PageRequest, item: ReviewItem, panel: str = "", problem: str = "", status: int = 200
) -> Response:
    """Return the page of one item, with masks unless this request may show it as it is."""
    veil = veiled(item)
    unmasked = may_show(desk, ask, veil, panel)
    face = item if unmasked else veil.item
    text = ask.form.get("text") if ask.form.get("row") == item.id else None
    drafted = item.draft is not None and text is None
    unanswered = item.answer is None and not item.row.get("text")
    opened = panel or ("edit" if (drafted or unanswered) and (unmasked or not veil.in_edit) else "")
    before = edited_text(face.row)
    find = ask.request.query_params.get("find", "")[:200]
    if text is None:
        text = edited_text(item.draft) if item.draft is not None else edited_text(item.row)
    text = plain(text) if opened == "edit" else ""
    in_use = [answer for answer in answers_in_use(desk.store) if unmasked or mask(answer) == answer]
    values: dict[str, Any] = {
        "item": face,
        "turns": list(turns(face.row)),
        "before": before,
        "text": text,
        "rejected": worse_answer(face.row),
        "changes": list(difference(plain(before), text)) if opened == "edit" else [],
        "panel": opened,
        "in_use": in_use if opened != "reject" and worse_answer(face.row) is None else (),
        "drafted": drafted,
        "hidden": hidden_words(veil.found),
        "unmasked": unmasked,
        "remark": ask.form.get("remark", ""),
        "near": _near(ask, item),
        "guide": guideline(item.guideline.text, find) if item.guideline else "",
        "find": find,
        "unwritten": item.guideline is not None and item.guideline.text.strip() == GUIDELINE.strip(),
        "problem": problem,
        "sure": text if status == UNSURE else "",
        "until": clock_of(item.until),
        "origin": origin(item),
    }
    return page("item.html", ask, status, **_common(desk, ask), **values)


def _near(ask: PageRequest, item: ReviewItem) -> Sequence[OtherDecision]:
    """Decided rows near the item, masked; those that the import linked come first."""
    if item.blind:
        return ()
    linked = [side for side in item.near if side.verdict in DECIDED]
    known = {side.row for side in linked}
    others = [side for side in ask.request.app.state.nearest.near(item) if side.row not in known]
    return veiled_near([*linked, *others][:MOST_NEAR])[0]


def _again(desk: Desk, ask: PageRequest, panel: str, problem: str = "", status: int = 200) -> Response:
    """Return the same item, with nothing typed lost; the conflict page if this person holds it no longer."""
    item = _held(desk, ask)
    return _item(desk, ask, item, panel, problem, status) if item else _conflict(desk, ask, "")


def _conflict(desk: Desk, ask: PageRequest, message: str) -> Response:
    """409: who decided, when and what; what this person wrote; and the ways on."""
    name = ask.form.get("row", "")
    other = decided_by_another(desk, ask.person, name, ask.form.get("token", ""))
    values = {
        "row": name,
        "other": other,
        "why": message or f"{name}: the row is no longer reserved for you.",
        "mine": plain(ask.form.get("text", "")) if ask.form.get("verdict") == "edit" or not message else "",
        "can_send": other is not None
        and may_contest(ask.person, other.role)
        and ask.form.get("verdict") in ("approve", "edit", "reject"),
        "form": ask.form,
    }
    return page("conflict.html", ask, 409, **_common(desk, ask), **values)


def _held(desk: Desk, ask: PageRequest) -> ReviewItem | None:
    """Return the form's item if this person still holds it under the same token; its lease is renewed."""
    name = desk.store.row(ask.form.get("row", "")).id
    if renew(desk, ask.person, number_of(name), ask.form.get("token", "")) is None:
        return None
    return next_item(desk, ask.person.name, want=name).item


def _keep(desk: Desk, ask: PageRequest, item: ReviewItem, text: str) -> None:
    """Keep the text of an edit that is not done; one that breaks the rules of rows is kept by the form alone."""
    try:
        payload = with_text(Example(item.row), text)
    except RungError:
        return
    with desk.store.write() as connection:
        keep_draft(connection, number_of(item.id), ask.person.id, payload)


def _common(desk: Desk, ask: PageRequest) -> dict[str, Any]:
    """Return the values that every page of a signed-in person shows."""
    query, last = ask.request.query_params, last_of(desk, ask.person)
    failed = failed_sample(desk, last.row) if last is not None and query.get("decided") == last.row else None
    return {
        "project": desk.settings.project.name or desk.project.name,
        "last": last,
        "undone": "undone" in query,
        "sent": "sent" in query,
        "accepted": int(accepted) if (accepted := query.get("accepted", "")[:4]).isdecimal() else 0,
        "today": _day(desk, ask).rows,
        "note": failed_text(failed.words(), failed.plan.role) if failed else "",
        "has_team": ask.person.role == "lead",
        "has_compare": any(desk.project.evaluations.glob(f"*/{FOLDER}/{PLAN}")),
        "can_leave": ask.visitor.link,
        "owner": desk.settings.project.person,
    }


def _day(desk: Desk, ask: PageRequest) -> Any:
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return day_of(desk, ask.person, midnight)


def may_show(desk: Desk, ask: PageRequest, veil: Veil, panel: str) -> bool:
    """True if the item is shown without masks; written to the log once per lease.

    It is asked for by `/unmask`, or by an edit whose text holds something; once asked for, the forms of that page
    send `unmasked`, and the log must agree.
    """
    if not veil.found or ask.request.method != "POST":
        return False
    known = is_unmasked(desk, ask.person.name, veil.of)
    asked = ask.request.url.path == "/unmask" or (panel == "edit" and veil.in_edit)
    if asked and not known:
        log_unmasked(desk, ask.person.name, veil.of, veil.found)
    return asked or (known and ask.form.get("unmasked") == "1")


YEAR = 365 * 86400


def look(_desk: Desk, ask: PageRequest) -> Response:
    """Change theme or text size, for this browser."""
    answer = RedirectResponse("/", 303)
    changed = str(ask.look.changed(ask.form.get("look", "")))
    answer.set_cookie(LOOK, changed, max_age=YEAR, samesite="strict", httponly=True)
    return answer


def leave(desk: Desk, ask: PageRequest) -> Response:
    """Sign out: the cookie goes, the open row is given back."""
    stop(desk, ask)
    door, answer = Door(desk), closed("Signed out", "To sign in again, open your personal link.", 200)
    answer.delete_cookie(door.cookie, httponly=True, samesite="strict", secure=door.secure)
    return answer


def team_page(desk: Desk, ask: PageRequest) -> Response:
    """Show the review progress and the newest decisions."""
    return page("team.html", ask, **_common(desk, ask), stand=progress(desk), recent=recent(desk))


def reopen(desk: Desk, ask: PageRequest) -> Response:
    """Send a decided row to review again; the old decisions stay in the log."""
    if not ask.row:
        name = ask.form.get("row", "")
        raise RungError(f'"{name}" is no row.', "r-000012", found=name)
    desk.store.queue([ask.row], "reopened", "reopened", actor=ask.person.name)
    return RedirectResponse("/team", 303)


def rows_page(desk: Desk, ask: PageRequest) -> Response:
    """Show the rows in review, narrowed by state, answer and finding."""
    from curation.checks.run import titles

    query = ask.request.query_params
    chosen = {name: query.get(name, "")[:200] for name in ("state", "label", "finding")}
    number = query.get("page", "1")
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
    found = browse(desk, **chosen, page=at)
    last = max(1, -(-found.total // PAGE))
    ways = {n: f"/rows?{urlencode({**chosen, 'page': n})}" for n in (at - 1, at + 1) if 1 <= n <= last}
    values: JsonObject = {"found": found, "chosen": chosen, "at": at, "last_page": last, "ways": ways}
    shown: JsonObject = {"states": list(STATES), "labels": answers_in_use(desk.store), "titles": titles()}
    return page("rows.html", ask, **_common(desk, ask), **values, **shown)


def alike_page(desk: Desk, ask: PageRequest) -> Response:
    """Show open rows that look like this one and have its answer."""
    name = ask.request.query_params.get("row", "")
    if not is_row(name):
        return RedirectResponse("/", 303)
    row, found = desk.store.row(name), look_alikes(desk, ask.person, name)
    return page("alike.html", ask, **_common(desk, ask), row=row if found else None, found=found)


def accept_alike(desk: Desk, ask: PageRequest) -> Response:
    """Approve the marked look-alikes, each as this person's decision; then the row again."""
    if not ask.row:
        return RedirectResponse("/", 303)
    made = approve_alike(desk, ask.person, ask.row, {key: value for key, value in ask.form.items() if is_row(key)})
    return RedirectResponse(f"/?row={ask.row}&accepted={len(made)}", 303)


LONGEST_REASON = 2000


def compare_page(desk: Desk, ask: PageRequest) -> Response:
    """Show the next pairing of this rater, the one named by `item` to change an answer, or the progress.

    From `/compare/unmask` it comes as it is, personal data included, once the log holds who looks.
    """
    comparison, rater = begun_comparison(desk.project), ask.person.name
    if comparison is None:
        return page("compare_none.html", ask, **_common(desk, ask))
    mine = comparison.answers().get(rater, {})
    before = next((each.id for each in reversed(comparison.asked) if each.id in mine), None)
    values = {**_common(desk, ask), "standing": comparison.standing(), "before": before}
    wanted = ask.form.get("item", ask.request.query_params.get("item", ""))
    named = next((each for each in comparison.asked if str(each.id) == wanted), None)
    pairing = named or comparison.next_for(rater)
    if pairing is None:
        result = [line for each in read_result(comparison.folder.parent) for line in preference_words(each)]
        return page("compare_done.html", ask, **values, result=result)
    veil = pairing.veil
    bare = bool(veil.found) and ask.request.url.path == "/compare/unmask"
    if bare:
        log_shown(desk.project, desk.settings, rater, comparison.ref(pairing.id), veil.found)
    values["done"], values["of"] = values["standing"].get(rater, (0, len(comparison.asked)))
    values |= {"pairing": pairing, "hidden": veil.words, "unmasked": bare, "given": mine.get(pairing.id)}
    values["texts"] = pairing.shown(masked=not bare)
    return page("compare.html", ask, **values, reason=plain(ask.form.get("reason", ""))[:LONGEST_REASON])


def prefer(desk: Desk, ask: PageRequest) -> Response:
    """Write one answer at once, then the next pairing."""
    comparison, number = begun_comparison(desk.project), ask.form.get("item", "")
    if comparison is None or not number.isdecimal():
        raise RungError("This comparison does not exist.", "rung evaluate --human")
    reason = plain(ask.form.get("reason", "")).strip()[:LONGEST_REASON]
    comparison.record(ask.person.name, int(number), ask.form.get("choice", ""), reason)
    return RedirectResponse("/compare", 303)


def end_comparison(desk: Desk, ask: PageRequest) -> Response:
    """Reveal it. Refused while somebody who began has not finished."""
    comparison = begun_comparison(desk.project)
    if comparison is None:
        raise RungError("This comparison does not exist.", "rung evaluate --human")
    comparison.reveal()
    write_page(desk.project, comparison.folder.parent)
    return RedirectResponse("/compare", 303)

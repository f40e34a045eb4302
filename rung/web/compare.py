"""The blind comparison in the browser: two outputs side by side, which is better, why; nobody learns who wrote what."""

from __future__ import annotations

from typing import Any

from starlette.responses import RedirectResponse, Response

from curation.review import Desk
from evaluation.blind import Pairing
from evaluation.hidden import log_shown
from evaluation.human import Comparison, begun_comparison, read_result
from rung.report.human_words import preference_words
from rung.web.asking import Ask
from rung.web.pages import _common
from rung.web.paper import page
from rung.web.view import plain
from workspace.errors import RungError

LONGEST_REASON = 2000


def compare_page(desk: Desk, ask: Ask) -> Response:
    """The next pairing of this rater; the one that `?item=` names, to change an answer; or how it stands."""
    return _compare_page(desk, ask, ask.request.query_params.get("item", ""))


def unmask_pair(desk: Desk, ask: Ask) -> Response:
    """The same pairing as it is, personal data included; the log tells who looked."""
    return _compare_page(desk, ask, ask.form.get("item", ""), bare=True)


def _compare_page(desk: Desk, ask: Ask, wanted: str, bare: bool = False) -> Response:
    comparison = begun_comparison(desk.project)
    if comparison is None:
        return page("compare_none.html", ask, **_common(desk, ask))
    named = next((p for p in comparison.asked if str(p.id) == wanted), None)
    pairing = named or comparison.next_for(ask.person.name)
    values = {**_common(desk, ask), "standing": comparison.standing(), "before": _before(comparison, ask.person.name)}
    if pairing is None:
        result = [line for p in read_result(comparison.folder.parent) for line in preference_words(p)]
        return page("compare_done.html", ask, **values, result=result)
    done, of = values["standing"].get(ask.person.name, (0, len(comparison.asked)))
    given = comparison.answers().get(ask.person.name, {}).get(pairing.id)
    typed = plain(ask.form.get("reason", ""))[:LONGEST_REASON]
    return page(
        "compare.html",
        ask,
        **values,
        **_face(desk, ask, comparison, pairing, bare),
        done=done,
        of=of,
        given=given,
        reason=typed,
    )


def _face(desk: Desk, ask: Ask, comparison: Comparison, pairing: Pairing, bare: bool) -> dict[str, Any]:
    """The pairing's texts, masked unless they were asked for, which goes into the log before they are shown."""
    veil = pairing.veil
    bare = bare and bool(veil.found)
    if bare:
        log_shown(desk.project, desk.settings, ask.person.name, comparison.ref(pairing.id), veil.found)
    question, a, b = (pairing.question, pairing.a, pairing.b) if bare else veil.texts
    return {"pairing": pairing, "texts": {"question": question, "a": a, "b": b}, "hidden": veil.words, "unmasked": bare}


def prefer(desk: Desk, ask: Ask) -> Response:
    """Write one answer at once, then the next pairing."""
    comparison, number = begun_comparison(desk.project), ask.form.get("item", "")
    if comparison is None or not number.isdecimal():
        raise RungError("This comparison is not there.", "rung evaluate --human")
    reason = plain(ask.form.get("reason", "")).strip()[:LONGEST_REASON]
    comparison.record(ask.person.name, int(number), ask.form.get("choice", ""), reason)
    return RedirectResponse("/compare", 303)


def end_comparison(desk: Desk, ask: Ask) -> Response:
    """Reveal it. Refused while somebody who began has not finished."""
    comparison = begun_comparison(desk.project)
    if comparison is None:
        raise RungError("This comparison is not there.", "rung evaluate --human")
    from rung.report.evaluation import write_page

    comparison.reveal()
    write_page(desk.project, comparison.folder.parent)
    return RedirectResponse("/compare", 303)


def _before(comparison: Comparison, rater: str) -> int | None:
    """The pairing that this rater answered last, in the order in which they are asked."""
    given = comparison.answers().get(rater, {})
    done = [pairing.id for pairing in comparison.asked if pairing.id in given]
    return done[-1] if done else None

"""The advice as a page that can be forwarded."""

from typing import Any

from advisor.answers import Answers
from advisor.decision import Decision, Reason
from advisor.rulebook import Rulebook
from rung import __version__
from rung.text.decision_text import (
    METHOD,
    OPTION,
    SYMBOL,
    confidence,
    headline,
    likely_end,
    literal,
    outcome,
    shows_tuning,
    step_word,
)
from workspace.counted import gib
from workspace.json_types import JsonObject

STATE = {
    "untried": "not tried",
    "begun": "begun",
    "partial": "does part of the job",
    "insufficient": "did not reach the goal",
    "costly": "good, but too slow or too costly",
    "works": "reaches the goal",
}
RUNG_HEIGHT, RUNG_STEP = 34, 60


def page_values(decision: Decision, answers: Answers, book: Rulebook) -> JsonObject:
    """Return all values of the page, in words."""
    seen: dict[tuple[str, Any], JsonObject] = {}
    for change in decision.would_change:
        seen.setdefault((change["question"], change["destination"]), change)
    return {
        "version": __version__,
        "next_step": step_word(decision),
        "headline": headline(decision),
        "action": decision.action,
        "likely_end": likely_end(decision),
        "confidence": confidence(decision),
        "evidence": decision.evidence,
        "ladder": _ladder(decision),
        "reasons": [_reason(r, book) for r in decision.reasons],
        "why_not": [(OPTION[o], [_reason(r, book) for r in rs]) for o, rs in decision.why_not.items()],
        "changes": [_change(c, decision) for c in seen.values()],
        "open": [(key, book.questions[key].text) for key in decision.open_questions],
        "experiment": decision.experiment,
        "gates": [(SYMBOL[g.passed], g, _sources(g.source, book)) for g in decision.gates],
        "passed": sum(g.passed is True for g in decision.gates),
        "method": decision.method if decision.method.name and shows_tuning(decision) else None,
        "method_name": METHOD.get(decision.method.name or "", ""),
        "memory": memory_line(decision.method.memory) if decision.method.memory else "",
        "data": decision.data,
        "money": decision.break_even if shows_tuning(decision) else None,
        "notes": [_reason(r, book) for r in decision.notes],
        "answers": [_answer(key, value, answers, book) for key, value in answers.known().items()],
        "sources": _all_sources(decision, book),
        "rulebook": decision.rulebook,
        "as_of": decision.as_of.isoformat(),
    }


def _reason(reason: Reason, book: Rulebook) -> JsonObject:
    marks = (
        [reason.evidence]
        + (["your team's rule"] if reason.team else [])
        + (["source expired"] if reason.expired else [])
    )
    text = reason.text.removesuffix(" (your team's rule)")
    return {"rule": reason.rule, "text": text, "says": reason.says, "marks": ", ".join(filter(None, marks)),
            "sources": _sources(reason.source, book)}  # fmt: skip


def _sources(names: tuple[str, ...], book: Rulebook) -> list[dict[str, str]]:
    found = []
    for name in names:
        source = book.sources[name.partition(":")[0]]
        link = source.address if source.address.startswith("https://") else ""
        found.append({"name": name, "title": source.title, "link": link})
    return found


def _all_sources(decision: Decision, book: Rulebook) -> list[JsonObject]:
    rules = [*decision.reasons, *(r for rs in decision.why_not.values() for r in rs), *decision.notes]
    names = [name for rule in rules for name in rule.source] + [n for g in decision.gates for n in g.source]
    keys = sorted({name.partition(":")[0] for name in [*names, *decision.method.source, *decision.data.source]})
    return [
        {"id": key, "source": book.sources[key], "expired": book.sources[key].review_by < decision.as_of}
        for key in keys
    ]


def _change(change: JsonObject, decision: Decision) -> tuple[str, str, str]:
    words = outcome(change["next_step"], change["destination"], decision)
    return f"{change['question']} = {literal(change['to'])}", literal(change["from"]), words


def _answer(key: str, value: Any, answers: Answers, book: Rulebook) -> dict[str, str]:
    note = answers.answered.get(key, {})
    words = {choice.value: choice.text for choice in book.questions[key].answers}
    said = f"; said: {literal(note['said'])}" if "said" in note else ""
    return {
        "key": key,
        "text": book.questions[key].text,
        "value": words.get(value, literal(value)),
        "from": f"{note.get('from', 'said')}{said}",
        "by": str(note.get("by", "")),
        "at": str(note.get("at", ""))[:10],
    }


def _ladder(decision: Decision) -> list[JsonObject]:
    """Return the rungs from the top, each with its place on the picture and its state in words."""
    rungs = []
    for number, option in enumerate(reversed(OPTION)):
        marks = ["next step"] if option == decision.next_step else []
        marks += ["likely end"] if option == decision.destination and decision.settled else []
        state = STATE.get(decision.status.get(option, ""), "")
        rungs.append(
            {
                "name": OPTION[option],
                "mark": ", ".join(marks),
                "state": state,
                "strong": bool(marks),
                "y": number * RUNG_STEP + 10,
                "height": RUNG_HEIGHT,
            }
        )
    return rungs


def memory_line(fit: Any) -> str:
    """`8.9 GiB (8.1 to 9.7), 24 GB on the GPU: fits`."""
    text = f"{gib(fit.expected, fit.low, fit.high)} at batch 1 and 2,048 tokens"
    if fit.fits is None:
        return text
    return f"{text}, {fit.card_gb:g} GB on the GPU: {'fits' if fit.fits else 'does not fit'}"

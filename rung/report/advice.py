"""The advice as a page that can be forwarded: FILE.html, or FILE.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advisor.answers import Answers
from advisor.decision import Decision, Reason
from advisor.rulebook import Rulebook
from rung.text.decision_text import (
    METHOD,
    OPTION,
    SYMBOL,
    certainty,
    headline,
    likely_end,
    literal,
    outcome,
    shows_tuning,
    step_word,
)
from rung.text.figures import gib
from rung.text.figures import money as money_text
from workspace.errors import RungError
from workspace.files import check_outputs, check_page, write_text
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


def write_report(path: Path, decision: Decision, answers: Answers, book: Rulebook) -> None:
    """Write the page for `decision`; the ending of `path` says which kind. Raises RungError for another ending."""
    check_report(path)
    values = page_values(decision, answers, book)
    if path.suffix == ".md":
        write_text(path, "\n".join(_markdown(values)) + "\n")
    else:
        from rung.report.page import write_html

        write_html(path, "advice.html", values)


def check_report(path: Path | None) -> None:
    """Before anything else is written: raise RungError for a place that cannot be written or of another ending."""
    check_page(path) if path is not None and path.suffix != ".md" else check_outputs(path)
    if path is not None and path.suffix not in (".md", ".html", ".htm"):
        raise RungError(
            f"{path}: a report is .html or .md.", where="--report", expected=".html or .md", found=path.suffix
        )


def page_values(decision: Decision, answers: Answers, book: Rulebook) -> JsonObject:
    """Everything that the page shows, in words."""
    from rung import __version__

    seen: dict[tuple[str, Any], JsonObject] = {}
    for change in decision.would_change:
        seen.setdefault((change["question"], change["destination"]), change)
    return {
        "version": __version__,
        "next_step": step_word(decision),
        "headline": headline(decision),
        "action": decision.action,
        "likely_end": likely_end(decision),
        "strength": decision.strength,
        "evidence": decision.evidence,
        "certainty": certainty(decision),
        "ladder": _ladder(decision),
        "reasons": [_reason(r, book) for r in decision.reasons],
        "why_not": [(OPTION[o], [_reason(r, book) for r in rs]) for o, rs in decision.why_not.items()],
        "changes": [_change(c, decision) for c in seen.values()],
        "pairs": [_pair(p, decision) for p in decision.would_change_pairs],
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
    """Name, title and (where it is one) web address."""
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


def _pair(pair: Any, decision: Decision) -> tuple[str, str]:
    both = " and ".join(f"{c['question']} = {literal(c['to'])}" for c in pair.changes)
    return both, outcome(pair.next_step, pair.destination, decision)


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
    """The rungs from the top, each with its place on the picture and its state in words."""
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


def _markdown(v: JsonObject) -> Iterator[str]:
    yield f"# Next step: {v['next_step']}"
    yield ""
    yield f"{v['action'].text}"
    yield ""
    yield f"- **Likely end:** {v['likely_end']}"
    yield f"- **Strength:** {v['strength']}; evidence {v['evidence']}; {v['certainty']}"
    yield ""
    yield "| Rung | State | |"
    yield "|---|---|---|"
    for rung in v["ladder"]:
        yield f"| {rung['name']} | {rung['state'] or '-'} | {rung['mark']} |"
    yield from _section("Why", (_line(r) for r in v["reasons"]))
    for option, reasons in v["why_not"]:
        yield from _section(f"Why not {option}", (f"{_line(r)} ({r['says']})" for r in reasons))
    yield from _section("What would change it", (f"`{what}` (now {was}): {then}" for what, was, then in v["changes"]))
    yield from _section("Two answers together", (f"`{what}`: {then}" for what, then in v["pairs"]))
    yield from _section("Not settled", (f"`{key}`: {text}" for key, text in v["open"]))
    if v["experiment"]:
        yield from ("", f"To settle `{v['experiment'].question}`: {v['experiment'].text} ({v['experiment'].cost})")
    yield from _section(
        f"Gates: {v['passed']} of {len(v['gates'])} passed", (f"{s} {g.text}" for s, g, _ in v["gates"])
    )
    yield from _section("Method and data", _method_lines(v))
    yield from _section("Also", (_line(r) for r in v["notes"]))
    yield from _section("Answers", (f"{a['text']} **{a['value']}** ({a['from']}{_by(a)})" for a in v["answers"]))
    yield from _section("Sources", (_source_line(s) for s in v["sources"]))
    yield ""
    book = v["rulebook"]
    yield f"Rulebook {book.version} ({book.sha256[:8]}), as of {v['as_of']}. Written by Rung {v['version']}."


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    rows = list(lines)
    if rows:
        yield from ("", f"## {title}", "")
        yield from (f"- {row}" for row in rows)


def _line(reason: JsonObject) -> str:
    links = ", ".join(f"[{s['name']}]({s['link']})" if s["link"] else s["name"] for s in reason["sources"])
    return f"{reason['text']} `{reason['rule']}` [{reason['marks']}] {links}"


def _by(answer: dict[str, str]) -> str:
    return f" by {answer['by']}, {answer['at']}" if answer["by"] else ""


def _source_line(entry: JsonObject) -> str:
    source = entry["source"]
    until = f"expired {source.review_by}" if entry["expired"] else f"valid until {source.review_by}"
    return f"`{entry['id']}` {source.title}, {source.kind}, read {source.read}, {until}: {source.address}"


def _method_lines(v: JsonObject) -> Iterator[str]:
    data, method, money = v["data"], v["method"], v["money"]
    each = " in each class" if data.per_class else ""
    have = "unknown" if data.have is None else f"{data.have:,}"
    yield f"Reviewed examples{each}: {data.minimum:,} at least, {data.recommended:,} recommended, have {have}"
    if method:
        yield f"{v['method_name']}: {method.text} {method.variant_text or ''} Base: {method.base_model}"
        if method.memory:
            yield f"Memory: {memory_line(method.memory)}"
    if money:
        yield money_line(money)


def money_line(money: Any) -> str:
    """The break-even in one sentence, with what is unknown."""
    if money.calls_per_day is None:
        return f"Break-even: unknown (missing: {'; '.join(money.unknown) or 'prices'})"
    return (
        f"Break-even: {money.calls_per_day:,} calls a day against {money.incumbent} on one {money.card}, "
        f"{money_text(money.upkeep_usd_per_month, 0)} upkeep a month (prices from {money.prices_dated}"
        f"{', expired' if money.expired else ''})"
    )


def memory_line(fit: Any) -> str:
    """`8.9 GiB (8.1 to 9.7), 24 GB on the card: fits`."""
    text = f"{gib(fit.expected, fit.low, fit.high)} at batch 1 and 2,048 tokens"
    if fit.fits is None:
        return text
    return f"{text}, {fit.card_gb:g} GB on the card: {'fits' if fit.fits else 'does not fit'}"

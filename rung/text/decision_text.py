"""The advice as text, in the order of screens and reports, and the difference between two decisions."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from advisor.decision import Decision, Reason, Shift
from workspace.counted import counted, gib
from workspace.json_types import JsonObject

OPTION = {
    "prompt": "prompt",
    "few_shot": "few-shot",
    "rag": "rag",
    "fine_tune": "fine-tune",
    "rag_and_fine_tune": "rag and fine-tune",
}
TUNED = ("fine_tune", "rag_and_fine_tune")
METHOD = {"qlora": "QLoRA", "lora": "LoRA", "full": "full"}
SYMBOL = {True: "✓", False: "✗", None: "○"}
OPEN = "open"
"""The word for the likely end until the answers settle it."""
WIDTH = 80
INDENT = " " * 12
STUCK = "\xa0"
"""A space within a command, where no line may end."""


def advice_lines(decision: Decision, command: str, *, wide: bool | None = None) -> Iterator[str]:
    """Yield the lines of `rung advise`; `command` is the next one to run. On a terminal at most 80 columns."""
    shell_is_wide = not sys.stdout.isatty() and not os.environ.get("RUNG_COLUMNS")
    table = _Table(shell_is_wide if wide is None else wide)
    for line in _lines(decision, command, table):
        fits = not table.narrow or len(line) <= WIDTH
        parts = [line] if fits else textwrap.wrap(line, WIDTH, subsequent_indent=INDENT)
        yield from (part.replace(STUCK, " ") for part in parts)


def _lines(decision: Decision, command: str, table: _Table) -> Iterator[str]:
    step = step_word(decision)
    yield f"Next step   {step}: {headline(decision)}"
    yield f"Likely end  {likely_end(decision)}"
    yield f"Confidence  {confidence(decision)}"
    yield ""
    yield "Why"
    spoken = {_words(reason): reason for reason in reversed(decision.reasons)}
    reasons = [reason for reason in decision.reasons if spoken[_words(reason)] is reason]
    yield from table.rows([(_words(r), r.rule, _cited(r.source)) for r in reasons[: 5 if table.narrow else 99]])
    yield "Why not"
    hang = max((len(OPTION[option]) for option in decision.why_not), default=0) + 2
    yield from table.rows([row for option in decision.why_not for row in _why_not(option, decision)], hang)
    yield from _changes(decision, table)
    yield from _gates(decision)
    yield from _method(decision)
    yield from _money(decision)
    if decision.open_questions:
        keys = decision.open_questions
        yield f"Not settled: {', '.join(keys)}   (rung{STUCK}why{STUCK}{keys[0]})"
    if decision.experiment:
        test = decision.experiment
        yield f"To settle {test.question}: {_lower(test.text).rstrip('.')} ({test.cost})"
    yield ""
    more = f"      More: rung why {decision.reasons[0].rule}" if decision.reasons else ""
    yield f"Next: {command}{more}"


def step_word(decision: Decision) -> str:
    """Return the next step in a word; the classifier by its name, because the rules have no rung for it."""
    return "classifier" if decision.reached == "classifier" else OPTION[decision.next_step]


def step_and_end(next_step: str, destination: str, *, settled: bool) -> str:
    """Return `next step few-shot, likely end fine-tune`; the end is `open` until the answers settle it."""
    end = OPTION.get(destination, destination) if settled else OPEN
    return f"next step {OPTION.get(next_step, next_step)}, likely end {end}"


def headline(decision: Decision) -> str:
    """Return what to do now, in one sentence: `put good examples into the prompt`."""
    return _lower(decision.action.text).split(". ")[0].rstrip(".")


def likely_end(decision: Decision) -> str:
    """Return `fine-tune (QLoRA), if few-shot falls short`, or `open: few-shot or higher, decided by failure`.

    Until the answers settle it, tuning is never named as the end.
    """
    end = OPTION[decision.destination]
    if decision.reached == "classifier":
        return "classifier: it reaches the goal"
    if not decision.settled:
        keys = [key for candidate in decision.candidates for key in candidate.decided_by]
        decides = ", ".join(dict.fromkeys([*decision.open_questions, *keys][:2]))
        lowest = "" if decision.destination in TUNED else f": {end} or higher"
        return f"{OPEN}{lowest}{f', decided by {decides}' if decides else ''}"
    if decision.method.name:
        end += f" ({METHOD[decision.method.name]})"
    if decision.reached:
        return f"{step_word(decision)}: it reaches the goal"
    if decision.next_step == decision.destination:
        return f"{end}, which is the next step"
    return f"{end}, if {OPTION[decision.next_step]} falls short"


def shows_tuning(decision: Decision) -> bool:
    """True if tuning is the next step or the settled end, so that its method and price are worth a line."""
    return decision.next_step in TUNED or decision.settled


def confidence(decision: Decision) -> str:
    """Return `fair: conditional rules, unknown answers could still change it`.

    `high` where strong rules decide and no answer can change the advice, `low` where conditional rules on weak evidence
    decide and answers are unknown, else `fair`.
    """
    conditional = decision.strength == "conditional"
    weak = conditional and decision.evidence == "low"
    word = "low" if decision.provisional and weak else "fair" if decision.provisional or conditional else "high"
    if decision.provisional:
        rest = "unknown answers could still change it"
    else:
        rest = "no answer can change it" if decision.settled else "the rest is measured, not asked"
    return f"{word}: {decision.strength} rules, {rest}"


def outcome(step: str, end: str, decision: Decision) -> str:
    """Return what a change leads to: only the part that differs from the present advice."""
    parts = [f"next step: {OPTION[step]}"] if step != decision.next_step else []
    parts += [f"likely end: {OPTION[end]}"] if end != decision.destination else []
    return ", ".join(parts)


def literal(value: Any) -> str:
    """Return an answer as written in answers.toml, without quotes."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _words(reason: Reason) -> str:
    text = reason.short or reason.text.rstrip(".")
    text = text[:1].upper() + text[1:]
    marks = [" (your team's rule)"] if reason.team and reason.short else []
    return text + "".join(marks) + (" (source expired)" if reason.expired else "")


def _cited(source: Sequence[str]) -> str:
    names = dict.fromkeys(name.partition(":")[0] for name in source)
    return f"[{next(iter(names), '')}]"


def _why_not(option: str, decision: Decision) -> list[tuple[str, str, str]]:
    width = max(len(OPTION[name]) for name in decision.why_not) + 2
    r = against(decision.why_not[option])
    if r is None:
        return [(f"{OPTION[option]:<{width}}not needed", "cheapest-first", "[module-4]")]
    return [(f"{OPTION[option]:<{width}}{_lower(_words(r))}", r.rule, _cited(r.source))]


def against(reasons: Sequence[Reason]) -> Reason | None:
    """Return the first reason against an option; None if it is only not needed."""
    return next((reason for reason in reasons if reason.says == "against"), None)


def changes(decision: Decision) -> list[JsonObject]:
    """Return the first change of each question that would change the advice."""
    found: dict[str, JsonObject] = {}
    for change in decision.would_change:
        found.setdefault(change["question"], change)
    return list(found.values())


def _changes(decision: Decision, table: _Table) -> Iterator[str]:
    shown = changes(decision)
    limit = 5 if table.narrow else 12
    if shown:
        yield "What would change it"
        rows = [
            (f"{c['question']} = {literal(c['to'])}", outcome(c["next_step"], c["destination"], decision), "")
            for c in shown
        ]
        yield from table.rows(rows[:limit])
        if len(rows) > limit:
            yield f"  {counted(len(rows) - limit, 'more answer')}: rung advise --json"


def _gates(decision: Decision) -> Iterator[str]:
    unmet = sorted((gate for gate in decision.gates if not gate.passed), key=lambda gate: gate.passed is None)
    if unmet:
        yield f"Conditions of this step: {len(decision.gates) - len(unmet)} of {len(decision.gates)} met"
        yield from (f"  {SYMBOL[gate.passed]} {gate.text}" for gate in unmet)


def _method(decision: Decision) -> Iterator[str]:
    method = decision.method
    if method.name and method.memory and shows_tuning(decision):
        fit = method.memory
        card = "" if fit.card_gb is None else f", {fit.card_gb:g} GB on the GPU"
        yield f"Method      {METHOD[method.name]} of {method.base_model}, {gib(fit.expected)}{card}"


def _money(decision: Decision) -> Iterator[str]:
    money = decision.break_even
    if money is None or not shows_tuning(decision):
        return
    if money.calls_per_day is None:
        yield f"Break-even  unknown (missing: {'; '.join(money.unknown) or 'prices'})"
    else:
        dated = f"prices from {money.prices_dated}{', expired' if money.expired else ''}"
        yield f"Break-even  {money.calls_per_day:,} calls a day against {money.incumbent} ({dated})"
        yield from (f"            Assumed: {each}" for each in money.assumed)


def _lower(text: str) -> str:
    """Return the text with its first letter small, unless it is an abbreviation."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


class _Table:
    """Rows of a sentence, a rule and a source, in aligned columns."""

    def __init__(self, wide: bool) -> None:
        self.narrow = not wide

    def rows(self, rows: list[tuple[str, str, str]], hang: int = 0) -> Iterator[str]:
        """Yield rows of columns after two spaces. On a terminal a sentence wraps with an indent of `hang` cells."""
        second = max((len(row[1]) for row in rows if row[2]), default=0)
        most = max(34, WIDTH - 16 - second) if self.narrow else max((len(row[0]) for row in rows), default=1) or 1
        told = [textwrap.wrap(row[0], most, subsequent_indent=" " * hang) or [""] for row in rows]
        first = max((len(line) for lines in told for line in lines), default=0)
        for (text, *more), (_, rule, source) in zip(told, rows, strict=True):
            line = f"  {text:<{first}}  {rule:<{second}}"
            fits = not self.narrow or len(line) + 2 + len(source) <= WIDTH
            yield (f"{line}  {source}" if fits else line).rstrip()
            yield from (f"  {part}" for part in more)


SHIFTS = {
    "advice": ("The advice is another one now.", "rung advise"),
    "ended": ("{use}: {life}", "name another model, then: rung baseline"),
    "ending": ("{use}: {life}", "measure its replacement: rung baseline"),
    "no_end": ("{use}: {life}", ""),
    "pays": ("By today's prices a tuned model pays now: {was} a month then, {now} now.", "rung advise"),
    "no_pay": ("By today's prices a tuned model does not pay any more: {was} a month then, {now} now.", "rung advise"),
    "saving": ("The saving of a tuned model moved: {was} a month then, {now} now.", ""),
    "expired": ("Prices of {dated} have expired.", "your own in rules/prices.toml"),
    "rulebook": ("The rulebook changed since; what it says now is compared here.", ""),
    "sources": ("These rules rest on sources that are due to be read again: {rules}.", "rung why {first}"),
}
"""For each change of `advisor.decision`: what it is, and what to do."""


def shift_json(shift: Shift) -> JsonObject:
    """Return a finding of `rung advise --recheck --json`."""
    text, do = (each.format(**shift.values) for each in SHIFTS[shift.change])
    return {"kind": shift.kind, "holds": shift.holds, "text": text, "do": do}


ADVICE = ("next_step", "destination", "provisional", "strength", "settled")


def difference(before: Decision, after: Decision) -> JsonObject:
    """`{advice, action, method, answers, gates, rules, dates}`: each a table of [before, after] of what differs."""
    b, a = before.model_dump(mode="json"), after.model_dump(mode="json")
    method = [b["method"]["name"], a["method"]["name"]]
    gates_b, gates_a = ({g["id"]: g["passed"] for g in d["gates"]} for d in (b, a))
    rules_b, rules_a = ({r["rule"] for r in d["reasons"]} for d in (b, a))
    return {
        "advice": {key: [b[key], a[key]] for key in ADVICE[:2] if b[key] != a[key]},
        "certainty": {key: [b[key], a[key]] for key in ADVICE[2:] if b[key] != a[key]},
        "action": {"name": [b["action"]["name"], a["action"]["name"]]} if b["action"] != a["action"] else {},
        "method": {"name": method} if method[0] != method[1] else {},
        "answers": _table(b["answers"], a["answers"], "unknown"),
        "gates": _table(gates_b, gates_a, "not raised"),
        "reasons": {"gone": sorted(rules_b - rules_a), "new": sorted(rules_a - rules_b)},
        "rulebook": {}
        if b["rulebook"] == a["rulebook"]
        else {"sha256": [b["rulebook"]["sha256"], a["rulebook"]["sha256"]]},
        "as_of": {} if b["as_of"] == a["as_of"] else {"as_of": [b["as_of"], a["as_of"]]},
        "now": {key: a[key] for key in ADVICE},
    }


def _table(before: JsonObject, after: JsonObject, absent: str) -> dict[str, list[Any]]:
    keys = dict.fromkeys([*before, *after])
    return {
        k: [before.get(k, absent), after.get(k, absent)] for k in keys if before.get(k, absent) != after.get(k, absent)
    }


SECTIONS = (
    ("answers", "Answers"),
    ("method", "Method"),
    ("action", "Action"),
    ("certainty", "Certainty"),
    ("gates", "Gates"),
)


def difference_lines(found: JsonObject, before: str, after: str) -> Iterator[str]:
    """Yield the difference in words."""
    yield from _advice_lines(found, before.lower(), after.lower())
    for key, name in SECTIONS:
        if found[key]:
            said = _passed if key == "gates" else literal
            yield name
            yield from (f"  {item:<24} {said(pair[0])} -> {said(pair[1])}" for item, pair in found[key].items())
    reasons = found["reasons"]
    if reasons["new"] or reasons["gone"]:
        yield "Reasons"
        yield from (f"  + {rule}" for rule in reasons["new"])
        yield from (f"  - {rule}" for rule in reasons["gone"])
    if found["rulebook"]:
        yield f"Rulebook    {found['rulebook']['sha256'][0][:8]} -> {found['rulebook']['sha256'][1][:8]}"
    if found["as_of"]:
        yield f"Date        {found['as_of']['as_of'][0]} -> {found['as_of']['as_of'][1]}"


def _advice_lines(found: JsonObject, before: str, after: str) -> Iterator[str]:
    advice, now = found["advice"], found["now"]
    end = OPTION[now["destination"]] if now["settled"] else OPEN
    if not advice:
        yield f"The advice is the same: {step_and_end(now['next_step'], now['destination'], settled=now['settled'])}."
    for key, name in (("next_step", "Next step"), ("destination", "Likely end")):
        if key in advice:
            what = end if key == "destination" else OPTION[advice[key][1]]
            yield f"{name:<11} {before} {OPTION[advice[key][0]]}, {after} {what}"


def _passed(state: bool | str | None) -> str:
    return state if isinstance(state, str) else {True: "passed", False: "not passed", None: "open"}[state]

"""What changed between two decisions: the advice, the answers, the rules or the date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from advisor.decision import Decision
from rung.report.advice_words import OPTION, literal

ADVICE = ("next_step", "destination", "provisional", "strength")


def difference(before: Decision, after: Decision) -> dict[str, Any]:
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


def _table(before: dict[str, Any], after: dict[str, Any], absent: str) -> dict[str, list[Any]]:
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


def difference_lines(found: dict[str, Any], before: str, after: str) -> Iterator[str]:
    """The difference in words."""
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


def _advice_lines(found: dict[str, Any], before: str, after: str) -> Iterator[str]:
    advice, now = found["advice"], found["now"]
    if not advice:
        yield f"The advice is the same: next step {OPTION[now['next_step']]}, likely end {OPTION[now['destination']]}."
    for key, name in (("next_step", "Next step"), ("destination", "Likely end")):
        if key in advice:
            yield f"{name:<11} {before} {OPTION[advice[key][0]]}, {after} {OPTION[advice[key][1]]}"


def _passed(state: bool | str | None) -> str:
    """Whether a gate is passed; a text says itself that it was not raised."""
    return state if isinstance(state, str) else {True: "passed", False: "not passed", None: "open"}[state]

"""`rung plan --explain`: every value's rule and sources, every gate with its evidence and who may set it aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.gate import Gate
    from training.plan import Plan
    from workspace.settings import GateSettings


def explain_lines(plan: Plan, gates: Sequence[Gate], policy: GateSettings) -> Iterator[str]:
    """Values, then gates."""
    yield "Values"
    for name, why in plan.because.items():
        by = "   set by a person" if why.by == "person" and not why.text.startswith("set by") else ""
        yield f"  {name} = {getattr(plan.recipe, name)}"
        source = f"   {', '.join(why.source)}" if why.source else ""
        yield f"      {why.text}   [{why.rule}]{source}{by}"
    yield ""
    yield "Gates, in this order; each is computed again by the process that trains"
    for gate in gates:
        yield from _gate(gate, policy)


def _gate(gate: Gate, policy: GateSettings) -> Iterator[str]:
    yield f"{gate.symbol} {gate.name:<10} {gate.fact}"
    if gate.rule or gate.why:
        yield f"      rule      {gate.rule or 'passed'}{f': {gate.why}' if gate.why else ''}"
    for name, value in gate.evidence.items():
        yield f"      evidence  {name} = {value}"
    if not gate.evidence:
        yield "      evidence  none: it could not be looked at" if gate.passed is None else "      evidence  none"
    if gate.shown:
        yield f"      file      {gate.shown}"
    if gate.override is not None:
        aside = gate.override
        yield f'      override  {aside.by}, {aside.at:%Y-%m-%d %H:%M} UTC: "{aside.reason}"'
    who = f"by {' or '.join(policy.override_by)}" if policy.override_by else "by name"
    may = f"may be set aside {who} with a reason" if gate.name in policy.may_override else "can only be met"
    yield f"      policy    {may}"
    if not gate.opens and gate.opener:
        yield f"      opens by  {gate.opener}"

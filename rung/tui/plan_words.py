"""What the Plan screen says: values with reasons, gates with what opens each, what fits where the plan does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rung.report.gate_words import passed_of
from rung.report.plan_words import METHOD, plan_rows
from rung.tui.widgets.marked import Entry
from training.fit import Fit
from training.fitting import Choice
from training.gate import Gate
from training.plan import Plan

STAGE_OF_GATE = {"decision": 2, "dataset": 5, "review": 4, "leakage": 3, "baseline": 6, "machine": 7}
STAGE_OF_COMMAND = {
    "rung advise": 2,
    "rung data freeze": 5,
    "rung data": 3,
    "rung review": 4,
    "rung baseline": 6,
    "rung plan": 7,
}


@dataclass(frozen=True, slots=True)
class Ready:
    """The newest plan, if there is one, and what the gates say of it."""

    plan: Plan | None
    gates: Sequence[Gate]
    fit: Fit | None = None
    """Of a plan that does not fit: what it needs."""
    instead: Sequence[Choice] = ()
    """What fits where the plan does not."""
    after: str = ""
    """Where the plan was trained already: what is next instead of training it again."""

    @property
    def is_open(self) -> bool:
        """Whether training may start."""
        return self.plan is not None and all(gate.opens for gate in self.gates)

    @property
    def closed(self) -> Gate | None:
        """The first closed gate."""
        return next((gate for gate in self.gates if not gate.opens), None)

    @property
    def takes(self) -> str:
        """The method that Enter takes: where the memory is what stands in the way and something else fits."""
        return self.instead[0].method if self.instead and self.closed and self.closed.name == "machine" else ""


def entries(ready: Ready, width: int) -> Iterator[Entry]:
    """The plan above, the gates below, what is next."""
    plan, gates = ready.plan, ready.gates
    if plan is None:
        yield Entry()
        yield Entry("No plan yet. It is computed from the decision, the dataset and this machine: Enter", "", "bold")
        yield Entry()
    else:
        base = plan.recipe.base.rpartition("/")[2]
        what = f"{METHOD[plan.recipe.method]} on {base}, dataset {plan.dataset}, {plan.data.train:,} rows"
        yield Entry(f"Plan {plan.id}   {what}", "", "bold")
        yield Entry()
        rows = plan_rows(plan)
        column = max(len(value) for _, value, _ in rows) + 1
        for name, value, reason in rows:
            yield Entry(f"{name:<14} {value:<{column}} {_because(reason, width - column - 16)}", f"value:{_key(name)}")
        yield Entry()
    closed = sum(not gate.opens for gate in gates)
    lock = f"LOCKED: {closed} gate{'s' if closed > 1 else ''} to pass" if closed else "open"
    yield Entry(f"Gates   {passed_of(gates).replace(' gates', ''):<20} {lock}", "", "bold")
    yield from _gate_entries(gates, ready)
    if plan is not None and plan.notes:
        yield Entry()
        yield from (Entry(f"! {note}", f"note:{number}") for number, note in enumerate(plan.notes))
    yield Entry()
    yield Entry(f"Next: {next_words(ready)}", "", "bold")


def next_words(ready: Ready) -> str:
    """What is next, with `Enter` where Enter does it."""
    first = ready.closed
    if ready.plan is None:
        return "make the plan.   Enter"
    if ready.after:
        return ready.after
    if first is None:
        return "start the training.   Enter"
    if ready.takes:
        return f"take {ready.takes}, {ready.instead[0].fit.expected:.1f} GiB.   Enter"
    return way(first) if first.opener else first.fact


def does_not_fit(ready: Ready) -> str:
    """What a plan needs that does not fit, and what does."""
    fit, plan = ready.fit, ready.plan
    assert fit is not None
    assert plan is not None
    needs = f"{plan.recipe.method} needs {fit.expected:.1f} GiB ({fit.low:.1f} to {fit.high:.1f})"
    where = "the card" if "card" in fit.where else "this machine"
    others = ", ".join(f"{choice.method} {choice.fit.expected:.1f}" for choice in ready.instead)
    return f"Does not fit: {needs}, {where} has {fit.has:.1f}. What fits: {others or 'a smaller model'}."


def told(plan: Plan | None) -> str:
    """The plan's name, or that something of it is unusual."""
    if plan is None:
        return ""
    many = len(plan.notes)
    return f"{plan.id}: ! {many} thing{'s' if many > 1 else ''} to know, below the gates" if many else plan.id


def _because(reason: str, room: int) -> str:
    """The reason where there is room for it, else the name of its rule, else what fits of it; `w` has all of it."""
    if len(reason) <= room:
        return reason
    rule = reason.rpartition("[")[2].rstrip("]") if reason.endswith("]") else ""
    return rule if rule and len(rule) <= room else reason[: max(room - 1, 1)].rstrip() + "…"


def _gate_entries(gates: Sequence[Gate], ready: Ready) -> Iterator[Entry]:
    """A line a gate, and under a closed one what opens it."""
    for gate in gates:
        fact = f'overridden by {gate.override.by}: "{gate.override.reason}"' if gate.override else gate.fact
        yield Entry(f"{gate.symbol} {gate.name:<9} {fact}", f"gate:{gate.name}")
        if not gate.opens and gate.opener:
            told = does_not_fit(ready) if gate.name == "machine" and ready.fit else way(gate)
            yield Entry(f"            {told}")


def way(gate: Gate) -> str:
    """The key and the command that open a closed gate."""
    return f"press {_key_of(gate)}, or run: {gate.opener}" if gate.opener else gate.why


def _key_of(gate: Gate) -> int:
    """The digit of the stage that the gate's opener belongs to."""
    found = next((n for words, n in STAGE_OF_COMMAND.items() if gate.opener.startswith(words)), None)
    return (found or STAGE_OF_GATE[gate.name]) % 10


def question(plan: Plan) -> str:
    """What starting costs, as far as the plan knows."""
    known = {name: value for name, value, _ in plan_rows(plan)}
    price = known.get("time, cost", "")
    word = "Time" if price.startswith("unknown") else "About"
    return f"Start training?{f' {word} {price}.' if price else ''}"


def _key(name: str) -> str:
    return {
        "rank, alpha": "rank",
        "learning rate": "learning_rate",
        "epochs, steps": "epochs",
        "longest row": "max_length",
    }.get(name, name)

"""Plan: is this the run to pay for? Values above, gates below, the first closed gate under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from rung.cli.training_words import METHOD, passed_of, plan_rows
from rung.tui.edit_file import edit_file
from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.screens.sign import SignScreen
from rung.tui.widgets.marked import Entry
from training.gate import MAY_OVERRIDE, Gate
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

    @property
    def is_open(self) -> bool:
        """Whether training may start."""
        return self.plan is not None and all(gate.opens for gate in self.gates)


class PlanScreen(LoadedScreen):
    """The plan with a reason for each value, six gates with what opens each, one key to start."""

    stage = "Plan"
    fits_width = True
    awaits = "Checking six gates"
    keys = (
        ("Enter", "start"),
        ("j/k", "move"),
        ("e", "edit"),
        ("v", "trained tokens"),
        ("w", "why"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "make the plan, or start the training"),
        Binding("r", "replan", "compute the plan again"),
        Binding("e", "edit", "change a value: rung.toml, section [training]"),
        Binding("v", "tokens", "five rows with the trained tokens marked"),
        Binding("ctrl+o", "override", "set the marked gate aside, with name and reason"),
    ]

    def load(self) -> Loaded:
        """The newest plan and the gates, recomputed."""
        from training.clearance import check_gates
        from training.plan import read_plans

        project = self.source.project
        if project is None:
            return locked("no project here.", 1, "rung init", "rung plan")
        plans = read_plans(project)
        plan = plans[-1][1] if plans else None
        gates = check_gates(project, self.source.settings, plan)
        return Loaded(
            list(_entries(plan, gates, self.room)),
            "rung plan",
            _told(plan),
            Ready(plan, gates),
        )

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Put the cursor on the first closed gate."""
        super().show_loaded(message)
        closed = next((g for g in self.data.gates if not g.opens), None) if self.data else None
        if closed is not None:
            self.lines.marked = f"gate:{closed.name}"

    def why_ref(self, key: str) -> str:
        """The gate, or the rule behind the value."""
        kind, _, ref = key.partition(":")
        if kind == "note":
            return ""
        if kind == "gate" or self.data is None or self.data.plan is None:
            return ref
        found = self.data.plan.because.get(ref)
        return found.rule if found else ""

    def action_start(self) -> None:
        """Without a plan make one; a locked door repeats what is missing; with six open gates start, asked once."""
        if self.data is None:
            return
        closed = next((gate for gate in self.data.gates if not gate.opens), None)
        if self.data.plan is None:
            self.action_replan()
        elif self.data.is_open:
            self.ask_once(_question(self.data.plan), self._start)
        elif closed is not None:
            self.tell(f"Locked: {closed.fact}. {_way(closed)}")

    def action_override(self) -> None:
        """Train although the marked gate is closed: a name and a reason stand in the run, the verdict and the card."""
        kind, _, name = self.marked.partition(":")
        gate = next((g for g in self.data.gates if g.name == name), None) if self.data and kind == "gate" else None
        if gate is None or gate.opens:
            self.tell("put the mark on a closed gate first")
        elif name not in MAY_OVERRIDE:
            self.tell(f"{name}: this gate cannot be set aside. {gate.opener and f'Run: {gate.opener}'}")
        else:
            about = f"{gate.fact}\n{gate.why}".strip()
            title = f"Train although the gate {name} is closed?"
            does = "start the training, with this on the run, the verdict and the card"
            self.app.push_screen(SignScreen(title, about, self.source.person, does), self._overridden(name))

    def _overridden(self, gate: str) -> Callable[[tuple[str, str] | None], None]:
        def start(signed: tuple[str, str] | None) -> None:
            if signed is None:
                self.tell("nothing was set aside")
            else:
                named = ("--by", signed[0], "--reason", signed[1])
                self.start_job("train", "--detach", "--override", gate, *named)

        return start

    def action_replan(self) -> None:
        """Compute the plan in a child process: it needs the tokenizer."""
        self.start_job("plan")

    def _start(self) -> None:
        self.start_job("train", "--detach")

    def job_ended(self, ended: JobEnded) -> None:
        """After a start go and watch it; else show the new plan."""
        if ended.ok and ended.arguments[0] == "train":
            self.app.open_stage(8)  # type: ignore[attr-defined]
        elif ended.arguments[:2] == ("plan", "--tokens"):
            from rung.tui.screens.page import PageScreen

            self.app.push_screen(PageScreen("Trained tokens", ended.out if ended.ok else ended.err))
        else:
            self.reload()

    def action_tokens(self) -> None:
        """Five rows as the model sees them."""
        self.start_job("plan", "--tokens")

    def action_edit(self) -> None:
        """Open rung.toml in the person's editor; the plan is computed again with what it says."""
        if self.source.project is not None:
            with self.app.suspend():
                told = edit_file(self.source.project.settings_file)
            self.tell(told)
            self.action_replan()


def _entries(plan: Plan | None, gates: Sequence[Gate], width: int) -> Iterator[Entry]:
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
    yield from _gate_entries(gates)
    first = next((gate for gate in gates if not gate.opens), None)
    if plan is not None and plan.notes:
        yield Entry()
        yield from (Entry(f"! {note}", f"note:{number}") for number, note in enumerate(plan.notes))
    yield Entry()
    if plan is None:
        yield Entry("Next: make the plan.   Enter", "", "bold")
    elif first is None:
        yield Entry("Next: start the training.   Enter", "", "bold")
    else:
        yield Entry(f"Next: {_way(first)}" if first.opener else f"Next: {first.fact}", "", "bold")


def _told(plan: Plan | None) -> str:
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


def _gate_entries(gates: Sequence[Gate]) -> Iterator[Entry]:
    """A line a gate, and under a closed one what opens it."""
    for gate in gates:
        fact = f'overridden by {gate.override.by}: "{gate.override.reason}"' if gate.override else gate.fact
        yield Entry(f"{gate.symbol} {gate.name:<9} {fact}", f"gate:{gate.name}")
        if not gate.opens and gate.opener:
            yield Entry(f"            {_way(gate)}")


def _way(gate: Gate) -> str:
    """The key and the command that open a closed gate."""
    return f"press {_key_of(gate)}, or run: {gate.opener}" if gate.opener else gate.why


def _key_of(gate: Gate) -> int:
    """The digit of the stage that the gate's opener belongs to."""
    found = next((n for words, n in STAGE_OF_COMMAND.items() if gate.opener.startswith(words)), None)
    return (found or STAGE_OF_GATE[gate.name]) % 10


def _question(plan: Plan) -> str:
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

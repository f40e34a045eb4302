"""Plan: is this the run to pay for? Values above, gates below, the first closed gate under the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from rung.text.training_text import METHOD, fact_words, passed_of, plan_rows
from rung.tui.async_list import RUNNING, LoadedLines, LoadedScreen, StoppableScreen, press
from rung.tui.data.row_work import gated
from rung.tui.editor import edit_beside
from rung.tui.job import JobEnded
from rung.tui.screens.page_screen import PageScreen
from rung.tui.widgets.lines import Entry
from training.gates.gate import MAY_OVERRIDE, Gate, policy_of
from training.plan.memory_fit import MemoryFit, fit_of, methods_instead
from training.plan.plans import Plan, read_plans
from training.runs import LIVE, read_runs
from workspace.counted import gib
from workspace.folder import Project

PAGES: dict[tuple[str, ...], str] = {("plan", "--tokens"): "Trained tokens", ("plan", "check"): "Dry run"}
"""Commands whose result is a page over the screen."""


class PlanScreen(StoppableScreen):
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
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "make the plan, or start the training"),
        Binding("r", "replan", "compute the plan again"),
        Binding("e", "edit", "change a value: rung.toml, section [training]"),
        Binding("v", "tokens", "five rows with the trained tokens marked"),
        Binding("d", "dry", "a dry run: memory and speed, measured in a few steps"),
        Binding("ctrl+o", "override", "override the marked gate, with name and reason"),
    ]

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys: Enter starts the training, or goes on; a run can be stopped."""
        if self.job is not None:
            return RUNNING
        begins = self.data is None or (self.data.is_open and not self.data.trained)
        return self.keys if begins else [("Enter", "next"), *self.keys[1:]]

    def load(self, project: Project) -> LoadedLines:
        """Return the newest plan and the gates, recomputed."""
        plans = read_plans(project)
        plan = plans[-1][1] if plans else None
        gates = self.beside(gated, project, self.source.settings, plan)
        ready = self._ready(project, plan, gates)
        command = f"rung plan --method {ready.takes}" if ready.takes else "rung plan"
        return LoadedLines(list(entries(ready, self.room)), command, told(plan), ready, goes_on=ready.trained)

    def _ready(self, project: Project, plan: Plan | None, gates: Sequence[Gate]) -> Ready:
        """Return the plan, what fits if it does not, and the next stage after its own run."""
        machine = next((gate for gate in gates if gate.name == "machine"), None)
        if plan is not None and machine is not None and machine.passed is False:
            usable = policy_of(project).memory
            fit = fit_of(plan.recipe, answer=plan.data.answer, usable=usable)
            return Ready(plan, gates, fit, methods_instead(plan, usable))
        trained = {run.plan for run in read_runs(project) if run.state in (*LIVE, "finished")}
        return Ready(plan, gates, trained=plan is not None and plan.id in trained)

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Put the cursor on the first closed gate."""
        super().show_loaded(message)
        closed = next((g for g in self.data.gates if not g.opens), None) if self.data else None
        if closed is not None:
            self.lines.marked = f"gate:{closed.name}"

    def why_ref(self, key: str) -> str:
        """Return the gate, or the rule behind the value."""
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
        closed = self.data.closed
        if self.data.plan is None:
            self.action_replan()
        elif self.data.trained:
            self.go_on()
        elif self.data.is_open:
            self.ask_once(question(self.data.plan), partial(self.start_job, "train", "--detach"))
        elif self.data.takes:
            self.start_job("plan", "--method", self.data.takes)
        elif closed is not None:
            self.tell(f"Locked: {closed.fact}. {way(closed)}")

    def action_override(self) -> None:
        """Train although the marked gate is closed; name and reason go into the run, the verdict and the card."""
        kind, _, name = self.marked.partition(":")
        gate = next((g for g in self.data.gates if g.name == name), None) if self.data and kind == "gate" else None
        if gate is None or gate.opens:
            self.tell("mark a closed gate first")
        elif name not in MAY_OVERRIDE:
            self.tell(f"{name}: this gate cannot be overridden. {gate.opener and f'Run: {gate.opener}'}")
        else:
            about = f"{gate.fact}\n{gate.why}".strip()
            title = f"Train although the gate {name} is closed?"
            does = "start training; this is printed on run, verdict and card"
            train = partial(self.start_job, "train", "--detach", "--override", name)
            self.sign(title, about, does, train, "no gate was overridden")

    def action_replan(self) -> None:
        """Compute the plan in a child process: it needs the tokenizer."""
        self.start_job("plan")

    def start_job(self, *arguments: str) -> None:
        """Run a command; the keys are those of a running one."""
        super().start_job(*arguments)
        self.refresh_frame()

    def job_ended(self, ended: JobEnded) -> None:
        """After a start show the run; show a requested page; else show the new plan."""
        if ended.ok and ended.arguments[0] == "train":
            self.app.open_stage(8)  # type: ignore[attr-defined]
            return
        self.refresh_frame()
        if not ended.was_stopped and (title := PAGES.get(ended.arguments[:2])):
            self.app.push_screen(PageScreen(title, ended.out or ended.err))
        if ended.arguments[:2] != ("plan", "--tokens"):
            self.reload()

    def action_tokens(self) -> None:
        """Five rows as the model sees them."""
        self.start_job("plan", "--tokens")

    def action_dry(self) -> None:
        """Load the model and take a few steps: what the run will need, and what has to be put right before it."""
        if self.data is not None and self.data.plan is not None:
            self.start_job("plan", "check")
        else:
            self.tell("make the plan first: Enter")

    def action_edit(self) -> None:
        """Open rung.toml in the person's editor; the plan is computed again where something was changed."""
        if self.source.project is not None:
            path = self.source.project.settings_file
            before = path.read_bytes() if path.is_file() else b""
            self.tell(edit_beside(self.app, path))
            if path.is_file() and path.read_bytes() != before:
                self.action_replan()


STAGE_OF_GATE = {"decision": 2, "dataset": 5, "review": 4, "leakage": 3, "baseline": 6, "machine": 7}


@dataclass(frozen=True, slots=True)
class Ready:
    """The newest plan, if there is one, and what the gates say of it."""

    plan: Plan | None
    gates: Sequence[Gate]
    fit: MemoryFit | None = None
    """Memory that a plan needs which does not fit."""
    instead: Mapping[str, MemoryFit] = field(default_factory=dict)
    """Methods that fit where the plan does not."""
    trained: bool = False
    """True if a run of this plan is live or finished: then the project moves on and does not train again."""

    @property
    def is_open(self) -> bool:
        """True if training may start."""
        return self.plan is not None and all(gate.opens for gate in self.gates)

    @property
    def closed(self) -> Gate | None:
        """The first closed gate."""
        return next((gate for gate in self.gates if not gate.opens), None)

    @property
    def takes(self) -> str:
        """Return the method that Enter chooses: where memory is the only blocker and something else fits."""
        return next(iter(self.instead)) if self.instead and self.closed and self.closed.name == "machine" else ""


def entries(ready: Ready, width: int) -> Iterator[Entry]:
    """Yield the plan above, the gates below, what is next."""
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
    if not ready.trained:
        yield Entry()
        yield Entry(f"Next: {next_words(ready)}", "", "bold")


def next_words(ready: Ready) -> str:
    """Return the next step, with `Enter` if Enter does it."""
    first = ready.closed
    if ready.plan is None:
        return "make the plan.   Enter"
    if first is None:
        return "start the training.   Enter"
    if ready.takes:
        return f"take {ready.takes}, {gib(ready.instead[ready.takes].expected)}.   Enter"
    return way(first) if first.opener else first.fact


def does_not_fit(ready: Ready) -> str:
    """Say what the plan needs that does not fit, and what fits."""
    fit, plan = ready.fit, ready.plan
    assert fit is not None
    assert plan is not None
    needs = f"{plan.recipe.method} needs {gib(fit.expected, fit.low, fit.high)}"
    where = "the GPU" if "GPU" in fit.where else "this machine"
    others = ", ".join(f"{method} {other.expected:.1f}" for method, other in ready.instead.items())
    return f"Does not fit: {needs}, {where} has {fit.has:.1f}. What fits: {others or 'a smaller model'}."


def told(plan: Plan | None) -> str:
    """Return the plan's name, or that something of it is unusual."""
    if plan is None:
        return ""
    many = len(plan.notes)
    return f"{plan.id}: ! {many} warning{'s' if many > 1 else ''} below the gates" if many else plan.id


def _because(reason: str, room: int) -> str:
    """Return the reason if it fits, else the name of its rule, else what fits of it; `w` has all of it."""
    if len(reason) <= room:
        return reason
    rule = reason.rpartition("[")[2].rstrip("]") if reason.endswith("]") else ""
    return rule if rule and len(rule) <= room else reason[: max(room - 1, 1)].rstrip() + "…"


def _gate_entries(gates: Sequence[Gate], ready: Ready) -> Iterator[Entry]:
    """Yield a line a gate, and under a closed one what opens it."""
    for gate in gates:
        yield Entry(f"{gate.symbol} {gate.name:<9} {fact_words(gate)}", f"gate:{gate.name}")
        if not gate.opens and gate.opener:
            told = does_not_fit(ready) if gate.name == "machine" and ready.fit else way(gate)
            yield Entry(f"            {told}")


def way(gate: Gate) -> str:
    """Return the key and the command that open a closed gate."""
    return press(gate.opener, STAGE_OF_GATE[gate.name]) if gate.opener else gate.why


def question(plan: Plan) -> str:
    """Return the cost of starting, as far as the plan knows it."""
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

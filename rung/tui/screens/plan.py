"""Plan: is this the run to pay for? Values above, gates below, the first closed gate under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from rung.status.stages import Stage, Status
from rung.tui.edit_file import edit_beside
from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.plan_words import Ready, entries, question, told, way
from rung.tui.row_work import gated
from rung.tui.screens.sign import SignScreen
from rung.tui.stoppable import RUNNING, StoppableScreen
from training.gate import MAY_OVERRIDE, Gate
from training.plan import Plan
from workspace.folder import Project

PAGES: dict[tuple[str, ...], str] = {("plan", "--tokens"): "Trained tokens", ("plan", "--preflight"): "Dry run"}
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
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "make the plan, or start the training"),
        Binding("r", "replan", "compute the plan again"),
        Binding("e", "edit", "change a value: rung.toml, section [training]"),
        Binding("v", "tokens", "five rows with the trained tokens marked"),
        Binding("d", "dry", "a dry run: memory and speed, measured in a few steps"),
        Binding("ctrl+o", "override", "set the marked gate aside, with name and reason"),
    ]

    def hints(self) -> Sequence[tuple[str, str]]:
        """Where Enter does not start the training it goes on; what runs can be stopped."""
        if self.job is not None:
            return RUNNING
        begins = self.data is None or (self.data.is_open and not self.data.after)
        return self.keys if begins else [("Enter", "next"), *self.keys[1:]]

    def load(self) -> Loaded:
        """The newest plan and the gates, recomputed."""
        from training.plan import read_plans

        project = self.source.project
        if project is None:
            return locked("no project here.", 1, "rung init", "rung plan")
        plans = read_plans(project)
        plan = plans[-1][1] if plans else None
        gates = self.beside(gated, project, self.source.settings, plan)
        ready = self._ready(project, plan, gates)
        command = f"rung plan --method {ready.takes}" if ready.takes else "rung plan"
        return Loaded(list(entries(ready, self.room)), command, told(plan), ready)

    def _ready(self, project: Project, plan: Plan | None, gates: Sequence[Gate]) -> Ready:
        """With what fits where the plan does not, and with where the project goes on after the plan's own run."""
        from training.fit import fit_of, usable_of
        from training.fitting import methods_instead

        machine = next((gate for gate in gates if gate.name == "machine"), None)
        if plan is not None and machine is not None and machine.passed is False:
            usable = usable_of(project)
            fit = fit_of(plan.recipe, answer=plan.data.answer, usable=usable)
            return Ready(plan, gates, fit, methods_instead(plan, usable))
        return Ready(plan, gates, after=self._after if plan is not None and self._was_trained(plan) else "")

    def _was_trained(self, plan: Plan) -> bool:
        """Whether a run of this very plan lives or has finished."""
        from training.record import LIVE, read_runs

        project = self.source.project
        runs = read_runs(project) if project else []
        return any(run.plan == plan.id and run.state in (*LIVE, "finished") for run in runs)

    @property
    def _after(self) -> str:
        """What is next where this plan was trained already."""
        following = self._following
        if following is None:
            return "nothing waits; r works out a new plan."
        return f"{following.next or following.reason} ({following.key}).   Enter"

    @property
    def _following(self) -> Stage | None:
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        return status.next if status else None

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
        closed = self.data.closed
        if self.data.plan is None:
            self.action_replan()
        elif self.data.after:
            if self._following is not None:
                self.app.open_stage(self._following.number)  # type: ignore[attr-defined]
            else:
                self.tell(f"{self.data.plan.id} is trained; {self.data.after}")
        elif self.data.is_open:
            self.ask_once(question(self.data.plan), self._start)
        elif self.data.takes:
            self.start_job("plan", "--method", self.data.takes)
        elif closed is not None:
            self.tell(f"Locked: {closed.fact}. {way(closed)}")

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

    def start_job(self, *arguments: str) -> None:
        """Run a command; the keys are those of a running one."""
        super().start_job(*arguments)
        self.refresh_frame()

    def job_ended(self, ended: JobEnded) -> None:
        """After a start go and watch it; a page where one was asked for; else show the new plan."""
        if ended.ok and ended.arguments[0] == "train":
            self.app.open_stage(8)  # type: ignore[attr-defined]
            return
        self.refresh_frame()
        if not ended.was_stopped and (title := PAGES.get(ended.arguments[:2])):
            from rung.tui.screens.page import PageScreen

            self.app.push_screen(PageScreen(title, ended.out or ended.err))
        if ended.arguments[:2] != ("plan", "--tokens"):
            self.reload()

    def action_tokens(self) -> None:
        """Five rows as the model sees them."""
        self.start_job("plan", "--tokens")

    def action_dry(self) -> None:
        """Load the model and take a few steps: what the run will need, and what has to be put right before it."""
        if self.data is not None and self.data.plan is not None:
            self.start_job("plan", "--preflight")
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

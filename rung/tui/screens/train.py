"""Train: go on, or stop? The screen may be closed; the run does not need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.train_words import Watched, last_note, sample_words, train_entries
from training.record import RunRecord
from workspace.errors import RungError
from workspace.folder import Project

EVERY = 4
"""Ticks between two looks at the run's files."""
OVER = ("finished", "failed")
"""States that a run does not leave."""
ENDED = ("stopped", "crashed", "cleared")
"""States from which a run goes on."""


class TrainScreen(LoadedScreen):
    """A live curve, figures, and four keys. Read from the run's files once a second."""

    stage = "Train"
    fits_width = True
    has = 0.0
    """GiB of this machine's card, or of the machine; 0 until it was asked."""
    keys = (
        ("Esc", "leave"),
        ("p", "pause"),
        ("x", "stop and save"),
        ("v", "samples"),
        ("w", "why"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "go to the plan, or measure what is finished"),
        Binding("p", "pause", "pause, or go on"),
        Binding("x", "stop", "stop and save"),
        Binding("v", "samples", "sample outputs at each evaluation"),
    ]

    def heading(self) -> str:
        """With the run's name."""
        return f"Train · {self.data.run.id} · {self.source.person}" if self.data else super().heading()

    def on_mount(self) -> None:
        """Look again every second; only the files are read."""
        self.set_interval(EVERY * self.source.tick, self._look_again)

    def hints(self) -> Sequence[tuple[str, str]]:
        """Of a run that has ended nothing can be paused or stopped."""
        if self.data is None or self.data.is_live:
            paused = self.data is not None and self.data.run.state == "paused"
            return [("p", "go on") if key == "p" and paused else (key, word) for key, word in self.keys]
        return (("Enter", "next"), ("v", "samples"), ("w", "why"), ("[ ]", "stage"), ("F1", "help"), ("^P", "menu"))

    def _look_again(self) -> None:
        if self.data is not None and self.data.run.state not in OVER:
            self._load()  # also a run that was stopped: it may be gone on with, here or elsewhere

    def load(self) -> Loaded:
        """The newest run."""
        from evaluation.verdict import newest_verdict
        from training.record import curve, read_runs

        project = self.source.project
        runs = read_runs(project) if project else []
        if project is None or not runs:
            return locked("no run yet. A plan whose six gates are open starts one.", 7, "rung plan", "rung train")
        run = runs[-1]
        lines = curve(project.runs / run.id)
        measured = newest_verdict(project, run.id) is not None
        has = self._memory() if lines else 0.0
        watched = Watched(run, lines, has, self._loading(run), _patience(project, run), measured)
        drawn = list(train_entries(watched, self.source.now(), self.room, self.app.size.height))
        return Loaded(drawn, f"rung runs watch {run.id}", last_note(watched), watched)

    def _memory(self) -> float:
        """Asked of the system once: it starts a process where there is a card."""
        if not self.has:
            from training.machine import this_machine

            self.has = this_machine().memory_gib
        return self.has

    def _loading(self, run: RunRecord) -> float:
        from training.preflight import read_preflight

        found = read_preflight(self.source.project, run.plan) if self.source.project else None
        return found.loading_seconds if found else 0.0

    def why_ref(self, key: str) -> str:
        """The chain behind the run."""
        return self.data.run.id if self.data else "decision"

    def action_follow(self) -> None:
        """A finished run is measured next, an interrupted one goes on; without one the plan comes first."""
        if self.data is None:
            self.repeat_lock()
            return
        run = self.data.run
        if run.state == "finished":
            self.app.open_stage(9)  # type: ignore[attr-defined]
        elif run.state in ENDED:
            self.ask_once(f"Go on with {run.id} from step {run.step} of {run.steps}?", self._go_on)
        elif run.state == "failed":
            self.app.open_stage(7)  # type: ignore[attr-defined]
        else:
            self.tell("training goes on; Esc leaves it going")

    def _go_on(self) -> None:
        self.start_job("runs", "resume", self.data.run.id, "--detach")

    def action_pause(self) -> None:
        """Save and wait, or go on."""
        if self.data is None:
            self.repeat_lock()
        elif self.data.run.state == "paused":
            self._go_on()
        elif self.data.is_live:
            self.start_job("runs", "pause", self.data.run.id)
        else:
            self.action_follow()

    def action_stop(self) -> None:
        """Save and end, after asking once."""
        if self.data is not None and self.data.is_live:
            name = self.data.run.id
            self.ask_once(f"Stop {name} and save it?", lambda: self.start_job("runs", "stop", name))
        elif not self.repeat_lock():
            self.tell("nothing is training")

    def action_samples(self) -> None:
        """Outputs at each evaluation."""
        from rung.tui.screens.page import PageScreen

        if self.data is not None:
            found = [f"step {line['step']}\n{sample_words(line)}" for line in self.data.lines if line.get("samples")]
            self.app.push_screen(
                PageScreen("Sample outputs", "\n\n".join(found) or "None yet: the next evaluation has some.")
            )

    def job_ended(self, ended: JobEnded) -> None:
        """Look at once."""
        self.reload()


def _patience(project: Project, run: RunRecord) -> int:
    from training.plan import read_plan

    try:
        return read_plan(project.runs / run.id / "plan.toml").recipe.patience
    except (RungError, OSError):
        return 0

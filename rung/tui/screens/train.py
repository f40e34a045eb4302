"""Train: go on, or stop? The screen may be closed; the run does not need it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from rung.report.figures import duration
from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.widgets.curve import curve_lines
from rung.tui.widgets.marked import Entry
from training.record import RunRecord

EVERY = 1.0
LIVE = ("starting", "running", "paused")


@dataclass(frozen=True, slots=True)
class Watched:
    """The newest run and the lines of its curve."""

    run: RunRecord
    lines: Sequence[dict[str, Any]]

    @property
    def is_live(self) -> bool:
        """Whether a process trains it now."""
        return self.run.state in LIVE


class TrainScreen(LoadedScreen):
    """A live curve, figures, and four keys. Read from the run's files once a second."""

    stage = "Train"
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
        self.set_interval(EVERY, self._look_again)

    def _look_again(self) -> None:
        if self.data is not None and self.data.is_live:
            self._load()

    def load(self) -> Loaded:
        """The newest run."""
        from training.record import curve, read_runs

        project = self.source.project
        runs = read_runs(project) if project else []
        if project is None or not runs:
            return locked("no run yet. A plan whose six gates are open starts one.", 7, "rung plan", "rung train")
        run = runs[-1]
        lines = curve(project.runs / run.id)
        watched = Watched(run, lines)
        return Loaded(list(_entries(watched)), f"rung runs watch {run.id}", _last_note(lines), watched)

    def why_ref(self, key: str) -> str:
        """The chain behind the run."""
        return self.data.run.id if self.data else "decision"

    def action_follow(self) -> None:
        """A finished run is measured next; without one the plan comes first."""
        if self.data is None:
            self.repeat_lock()
        elif self.data.run.state == "finished":
            self.app.open_stage(9)  # type: ignore[attr-defined]
        elif not self.data.is_live:
            self.ask_once(f"Go on with {self.data.run.id}?", lambda: self.start_job("runs", "resume", self.data.run.id))

    def action_pause(self) -> None:
        """Save and wait, or go on."""
        if self.data is not None and self.data.is_live:
            word = "resume" if self.data.run.state == "paused" else "pause"
            self.start_job("runs", word, self.data.run.id)
        elif self.data is not None:
            self.action_follow()

    def action_stop(self) -> None:
        """Save and end, after asking once."""
        if self.data is not None and self.data.is_live:
            name = self.data.run.id
            self.ask_once(f"Stop {name} and save it?", lambda: self.start_job("runs", "stop", name))

    def action_samples(self) -> None:
        """Outputs at each evaluation."""
        from rung.tui.screens.page import PageScreen

        if self.data is not None:
            found = [f"step {line['step']}\n{_samples(line)}" for line in self.data.lines if line.get("samples")]
            self.app.push_screen(
                PageScreen("Sample outputs", "\n\n".join(found) or "None yet: the next evaluation has some.")
            )

    def job_ended(self, ended: JobEnded) -> None:
        """Look at once."""
        self.reload()


def _samples(line: dict[str, Any]) -> str:
    return "\n".join(str(sample) for sample in line["samples"])


def _last_note(lines: Sequence[dict[str, Any]]) -> str:
    notes = [line["text"] for line in lines if line["kind"] == "note"]
    return notes[-1] if notes else ""


def _entries(watched: Watched) -> Iterator[Entry]:
    run, steps = watched.run, [line for line in watched.lines if line["kind"] == "step"]
    yield Entry()
    yield Entry(_sentence(watched, steps), "", "bold")
    step, total = (steps[-1]["step"] if steps else run.step), max(run.steps, 1)
    filled = round(53 * step / total)
    yield Entry("━" * filled + "─" * (53 - filled) + f"  {step / total:.0%}")
    yield Entry()
    yield from (Entry(line) for line in curve_lines(watched.lines, total))
    validations = [line for line in watched.lines if line["kind"] == "validation"]
    yield from (Entry(line) for line in _figures(steps, validations))
    yield Entry()
    yield Entry(_next(run), "", "bold")


def _sentence(watched: Watched, steps: Sequence[dict[str, Any]]) -> str:
    run = watched.run
    if run.state == "finished":
        best = (
            f" Best checkpoint: step {run.best_step}, validation {run.best_loss:.2f}."
            if run.best_loss is not None
            else ""
        )
        return f"Finished in {duration(run.seconds)}.{best}"
    if run.state in ("stopped", "crashed", "failed"):
        whole = f" Checkpoint {run.step} is whole." if run.step else ""
        return f"{run.state.capitalize()} at step {run.step}: {run.ending}.{whole}"
    if not steps:
        return f"Loading {run.base}. Nothing has been spent yet."
    left = steps[-1].get("eta_seconds")
    word = "Paused" if run.state == "paused" else "Training"
    return f"{word}. Step {steps[-1]['step']} of {run.steps}" + (f", about {duration(left)} left" if left else "")


def _figures(steps: Sequence[dict[str, Any]], validations: Sequence[dict[str, Any]]) -> Iterator[str]:
    if steps:
        last = steps[-1]
        loss = "no number" if last["loss"] is None else f"{last['loss']:.2f}"
        line = f"train {loss}"
        if validations:
            best = min(validations, key=lambda found: found["loss"])
            line += f"   validation {validations[-1]['loss']:.2f}, the best {best['loss']:.2f} (step {best['step']})"
        yield line
        memory = last.get("memory_mib")
        room = f"   {memory / 1024:.1f} GiB" if memory else ""
        rate = last.get("learning_rate")
        yield f"{last['tokens_per_second']:.0f} tokens/s{room}" + (f"   rate {rate:.1e}" if rate else "")


def _next(run: RunRecord) -> str:
    if run.state == "finished":
        return "Next: measure it on the test set (9).   Enter"
    if run.state in LIVE:
        return "Safe to leave: training goes on without this screen."
    return f"Next: go on with it: Enter, or rung runs resume {run.id}"

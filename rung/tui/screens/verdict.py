"""Verdict: ship it or keep the prompt? The sentence first, the interval under it, the numbers after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.report import Report
from evaluation.verdict import Verdict
from rung.report.verdict_words import TITLES, lines, sentences
from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.widgets.marked import Entry
from workspace.folder import Project

AXIS = 44


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, its folder, and the reports it compares."""

    folder: Path
    verdict: Verdict
    report: Report | None
    baseline: Report | None


class VerdictScreen(LoadedScreen):
    """What the paired test says of the newest finished run."""

    stage = "Verdict"
    keys = (
        ("Enter", "next"),
        ("v", "items"),
        ("j/k", "move"),
        ("o", "report"),
        ("w", "why"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "measure the run, or go to the release"),
        Binding("v", "items", "item by item, losses first"),
        Binding("o", "report", "where the report is"),
    ]

    def heading(self) -> str:
        """With the run's name."""
        return f"Verdict · {self.data.verdict.run} · {self.source.person}" if self.data else super().heading()

    def load(self) -> Loaded:
        """The newest verdict, or what is missing for one."""
        from evaluation.report import newest_report
        from evaluation.verdict import newest_verdict
        from training.record import newest_run

        project = self.source.project
        run = newest_run(project) if project else None
        found = newest_verdict(project) if project else None
        if project is None or (run is None and found is None):
            return locked(_missing(project), 8, "rung train", "rung evaluate")
        if found is None or (run is not None and found[1].run != run.id):
            assert run is not None
            waiting = [Entry(), Entry(f"{run.id} is finished and not measured on the test set yet."), Entry()]
            return Loaded([*waiting, Entry("Next: measure it.   Enter", "", "bold")], f"rung evaluate {run.id}")
        folder, verdict = found
        report = newest_report(project, "run", run=verdict.run)
        baseline = newest_report(project, "baseline")
        judged = Judged(folder, verdict, report and report[1], baseline and baseline[1])
        return Loaded(list(_entries(judged)), f"rung verdict {verdict.run}", f"{folder.name}/report.html", judged)

    def why_ref(self, key: str) -> str:
        """The chain behind the verdict's report."""
        return self.data.folder.name if self.data else "baseline"

    def action_follow(self) -> None:
        """Measure, or go on to the release."""
        if self.data is not None:
            self.app.open_stage(10)  # type: ignore[attr-defined]
        elif self.command.startswith("rung evaluate R-"):
            self.ask_once("Measure it on the test set?", lambda: self.start_job(*self.command.split()[1:]))
        else:
            self.repeat_lock()

    def action_items(self) -> None:
        """Both outputs, losses first."""
        if self.data is not None:
            from rung.tui.screens.items import ItemsScreen

            self.app.push_screen(ItemsScreen(self.data.folder, "tuned"))

    def action_report(self) -> None:
        """Say where the report is."""
        if self.data is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.data.folder / "report.html"))

    def job_ended(self, ended: JobEnded) -> None:
        """Show the verdict."""
        self.reload()


def _missing(project: Project | None) -> str:
    from training.record import read_runs

    runs = read_runs(project) if project else []
    if runs and runs[-1].state in ("starting", "running", "paused"):
        return f"no finished run. {runs[-1].id} is at step {runs[-1].step} of {runs[-1].steps}."
    return "no finished run."


def _entries(judged: Judged) -> Iterator[Entry]:
    verdict = judged.verdict
    title, (first, second) = TITLES[verdict.verdict], sentences(verdict)
    yield Entry(f"{title}   {first}", "verdict", "bold")
    yield Entry(f"{' ' * len(title)}   {second}")
    yield Entry()
    yield from (Entry(line) for line in axis(verdict.low, verdict.difference, verdict.high, verdict.margin))
    yield Entry()
    for line in lines(verdict, judged.report, judged.baseline)[3:15]:
        yield Entry(line, f"line:{line[:12]}" if line.strip() else "")
    yield Entry()
    word = {"ship": "release", "judgement": "decide (asks name and reason)", "need_more_data": "add test items"}
    yield Entry(f"Next: {word.get(verdict.verdict, 'release the prompt')}.   Enter", "", "bold")


def axis(low: float, middle: float, high: float, margin: float) -> list[str]:
    """The interval of the difference on a line of points, with zero and the margin marked."""
    left, right = min(low, 0.0) - 0.02, max(high, margin) + 0.02

    def at(value: float) -> int:
        return round((value - left) / (right - left) * (AXIS - 1))

    drawn = [" "] * AXIS
    for place in range(at(low), at(high) + 1):
        drawn[place] = "─"
    drawn[at(0.0)], drawn[at(margin)] = "·", ":"
    drawn[at(low)], drawn[at(high)], drawn[at(middle)] = "├", "┤", "o"
    labels = [" "] * (AXIS + 8)
    for value, text in ((0.0, "0"), (margin, f"margin {100 * margin:+.0f}")):
        start = max(0, min(at(value), AXIS + 8 - len(text)))
        labels[start : start + len(text)] = text
    return [f"points  {''.join(drawn)}", f"        {''.join(labels).rstrip()}"]

"""Baselines: does anything cheaper reach the goal?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.report import ArmResult, Report
from rung.report.baseline_words import answer, hits, metric_words
from rung.report.dots import dots, scale
from rung.report.figures import arm_name, interval, percent
from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.widgets.marked import Entry

PLOT = 19
LOCKED = "no frozen test set. A test set alone is enough here; training rows can wait."


class BaselinesScreen(LoadedScreen):
    """The arms with score, interval and plot; the best prompted one; what the advice made of it."""

    stage = "Baselines"
    keys = (
        ("Enter", "next"),
        ("r", "run arm"),
        ("v", "items"),
        ("e", "edit prompt"),
        ("o", "report"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "measure, or go on to what the next line says"),
        Binding("r", "run", "measure again"),
        Binding("x", "stop", "stop the measuring; what is answered stays"),
        Binding("v", "items", "items with output and score"),
        Binding("e", "edit", "edit the prompt: a new version, the old one stays"),
        Binding("o", "report", "where the report is"),
    ]

    folder: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, str] = {}

    def load(self) -> Loaded:
        """The newest baseline on the frozen test set."""
        from curation.manifest import newest_dataset, read_manifest
        from evaluation.report import newest_report

        project = self.source.project
        found = newest_dataset(project) if project else None
        test = read_manifest(found).splits.get("test") if found else None
        if project is None or test is None:
            return locked(LOCKED, 5, "rung data freeze --test-only", "rung baseline")
        measured = newest_report(project, "baseline", test_sha256=test.sha256)
        if measured is None:
            return Loaded(list(_empty(test.rows, self.source.settings.evaluation.arms)), "rung baseline")
        self.folder, report = measured
        return Loaded(list(_entries(report)), "rung baseline", f"{report.id} of {report.created_at:%Y-%m-%d}", report)

    def why_ref(self, key: str) -> str:
        """The chain behind the report."""
        return self.data.id if self.data is not None else "baseline"

    def action_follow(self) -> None:
        """Measure where nothing is measured, else go where the advice points."""
        if self.data is None:
            self.action_run()
            return
        status = self.app.status  # type: ignore[attr-defined]
        self.app.open_stage(status.next.number if status and status.next else 7)  # type: ignore[attr-defined]

    def action_run(self) -> None:
        """Measure all arms; what is answered already is not asked again."""
        if self.job is not None:
            self.tell("it is running; x stops it, what is answered stays")
        elif not self.repeat_lock():
            self.ask_once("Measure the arms? It can take minutes and goes on where it stops.", self._run)

    def _run(self) -> None:
        self.start_job("baseline")

    def show_progress(self, line: str) -> None:
        """A line an arm: partial scores are dim and reach no verdict."""
        arm = line.split("  ")[0]
        self.heard[arm] = line
        self.lines.show([*self._above(), *(Entry(text, style="dim") for text in self.heard.values())])

    def _above(self) -> list[Entry]:
        return [Entry(), Entry("Measuring. Not a result yet; x stops it and keeps the answers.", "", "bold"), Entry()]

    def job_ended(self, ended: JobEnded) -> None:
        """Show the new report."""
        self.heard.clear()
        self.reload()

    def action_stop(self) -> None:
        """Stop the measuring; the answers so far stay, and `r` goes on from there."""
        if self.job is not None:
            self.job.stop()

    def action_items(self) -> None:
        """Items of the marked arm: output, expected answer, score."""
        if self.data is not None and self.folder is not None:
            from rung.tui.screens.items import ItemsScreen

            self.app.push_screen(ItemsScreen(self.folder, self.marked or None))

    def action_edit(self) -> None:
        """Open the prompt in the person's editor."""
        if self.source.project is None:
            return
        path = self.source.project.prompts / "prompt.md"
        with self.app.suspend():
            subprocess.run([os.environ.get("EDITOR", "vi"), str(path)], check=False)
        self.tell(f"{path.name} is as you left it; r measures it")

    def action_report(self) -> None:
        """Say where the report is: over SSH nothing can be opened."""
        if self.folder is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.folder / "report.html"))


def _empty(n: int, arms: tuple[str, ...]) -> Iterator[Entry]:
    yield Entry()
    yield Entry(f"No arm measured yet. {len(arms)} arms on {n:,} items.")
    yield Entry(", ".join(arm_name(arm) for arm in arms))
    yield Entry()
    yield Entry("Next: measure them, the cheapest first.   Enter", "", "bold")


def _entries(report: Report) -> Iterator[Entry]:
    yield Entry()
    yield Entry(answer(report), "", "bold")
    yield Entry(f"{report.n:,} frozen test items, {metric_words(report.metric)}, {report.model}")
    yield Entry()
    yield Entry(f"{'Arm':<19}{'Score':>6}  {'95%':<12} {scale(PLOT, report.goal)}")
    yield from (Entry(_arm(arm, report.goal), arm.arm) for arm in report.arms)
    yield Entry()
    best = next((arm for arm in report.arms if arm.arm == report.chosen), None)
    if best is not None:
        yield Entry(f"Best prompted arm   {arm_name(best.arm)}, {percent(best.score)} ({hits(best)})")
        if report.goal is not None:
            gap = report.goal - best.score
            yield Entry(f"To the goal         {f'{100 * gap:.1f} points short' if gap > 0 else 'reached on test'}")
    if report.smallest_difference is not None:
        yield Entry(f"Can be told apart   differences of about {100 * report.smallest_difference:.0f} points")
    yield Entry()
    yield Entry("Next: what the advice says now.   Enter", "", "bold")


def _arm(arm: ArmResult, goal: float | None) -> str:
    bounds = interval(arm.low, arm.high).strip("()")
    return (
        f"{arm_name(arm.arm):<19}{percent(arm.score):>6}  {bounds:<12} {dots(arm.low, arm.score, arm.high, PLOT, goal)}"
    )

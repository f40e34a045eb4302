"""Verdict: ship it or keep the prompt? The sentence first, the interval under it, the numbers after."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.measurement_report import Report, newest_report
from evaluation.verdict.rule import Verdict, newest_verdict
from rung.status.stages import after_verdict
from rung.text.verdict_text import TITLES, lines, sentences
from rung.tui.async_list import KEEPS, LoadedLines, LoadedScreen, StoppableScreen, locked
from rung.tui.measure.items_screen import ItemsScreen
from rung.tui.widgets.lines import Entry
from training.runs import LIVE, curve, newest_run, read_runs
from workspace.counted import duration
from workspace.folder import Project

MEANS = {"ship": "done", "keep_prompt": "best", "judgement": "needs", "need_more_data": "needs"}
"""The colour of each verdict."""
AXIS = (30, 80)
"""Fewest and most columns of the line of points."""


@dataclass(frozen=True, slots=True)
class LoadedVerdict:
    """A verdict, its folder, and the reports it compares."""

    folder: Path
    verdict: Verdict
    report: Report | None
    baseline: Report | None


class VerdictScreen(StoppableScreen):
    """The paired test of the newest finished run."""

    stage = "Verdict"
    fits_width = True
    keys = (
        ("Enter", "next"),
        ("v", "items"),
        ("o", "report"),
        ("w", "why"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "measure the run, or go to the release"),
        Binding("v", "items", "item by item, losses first"),
        Binding("o", "report", "where the report is"),
    ]

    def heading(self) -> str:
        """Return the heading, with the run's name."""
        return f"Verdict · {self.data.verdict.run} · {self.source.person}" if self.data else super().heading()

    def load(self, project: Project) -> LoadedLines:
        """Return the newest verdict, or what is missing for one."""
        run, found = newest_run(project), newest_verdict(project)
        if run is not None and (found is None or found[1].run != run.id):
            waiting = [Entry(), Entry(f"{run.id} is finished and not measured on the test set yet."), Entry()]
            return LoadedLines([*waiting, Entry("Next: measure it.   Enter", "", "bold")], f"rung evaluate {run.id}")
        if found is None:
            return locked(_missing(project), 8, "rung train", "rung evaluate")
        folder, verdict = found
        report = newest_report(project, "run", run=verdict.run)
        baseline = newest_report(project, "baseline")
        judged = LoadedVerdict(folder, verdict, report and report[1], baseline and baseline[1])
        lines = list(_entries(judged, self.room))
        return LoadedLines(lines, f"rung verdict {verdict.run}", f"{folder.name}/report.html", judged)

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Show the measurement while it runs."""
        super().show_loaded(message)
        if self.job is not None:
            self._show_measuring(self.job.heard[-1] if self.job.heard else "")

    def show_progress(self, line: str) -> None:
        """Show the number of items answered; no score before the last one."""
        self._show_measuring(line)

    def _show_measuring(self, line: str) -> None:
        far = re.search(r"[\d,]+ of [\d,]+", line)
        done = f"{far[0]} items" if far and line.startswith("tuned") else line or "starting …"
        head = Entry(f"Measuring the tuned model: {done}. Scores are shown at the end.", "", "bold")
        self.show_lines([Entry(), head, Entry(), Entry(KEEPS)])
        self.refresh_frame()

    def why_ref(self, key: str) -> str:
        """Return the chain behind the verdict's report."""
        return self.data.folder.name if self.data else "baseline"

    def action_follow(self) -> None:
        """Do the "Next:" line: measure, decide, add test items, or go on to the release."""
        if self.job is not None:
            self.tell("already running; x stops it and keeps the answers")
        elif self.data is not None and needs_name(self.data.verdict):
            title = f"JUDGEMENT on {self.data.verdict.run}: is it good enough to release?"
            about, does = "\n".join(sentences(self.data.verdict)), "accept it; the tuned model may then be released"
            accept = partial(self.start_job, *self.command.split()[1:], "--accept-judgement")
            self.sign(title, about, does, accept, "nothing was decided")
        elif self.data is not None and (stage := after_verdict(self.data.verdict).stage) != 9:
            self.app.open_stage(stage)  # type: ignore[attr-defined]
        elif self.data is not None:
            self.tell(f"in a shell: {after_verdict(self.data.verdict).command}")
        elif self.command.startswith("rung evaluate R-"):
            self.ask_once("Measure it on the test set?", self._measure)
        else:
            self.repeat_lock()

    def _measure(self) -> None:
        self.start_job(*self.command.split()[1:])
        self._show_measuring("")

    def action_items(self) -> None:
        """Show both outputs, losses first."""
        if self.data is not None:
            self.app.push_screen(ItemsScreen(self.data.folder, self.data.verdict.candidate))

    def action_report(self) -> None:
        """Say where the report is."""
        if self.data is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.data.folder / "report.html"))


def needs_name(verdict: Verdict) -> bool:
    """True if a named person has to decide."""
    return verdict.verdict == "judgement" and verdict.accepted is None


def _missing(project: Project) -> str:
    """`no finished run`, and how far the one that trains has come."""
    runs = read_runs(project)
    if not runs or runs[-1].state not in LIVE:
        return "no finished run."
    run = runs[-1]
    steps = [line for line in curve(project.runs / run.id) if line["kind"] == "step"]
    step, left = (steps[-1]["step"], steps[-1].get("eta_seconds")) if steps else (run.step, None)
    return (
        f"no finished run. {run.id} is at step {step} of {run.steps}{f', about {duration(left)} left' if left else ''}."
    )


def _entries(judged: LoadedVerdict, width: int) -> Iterator[Entry]:
    verdict = judged.verdict
    title, (first, second) = TITLES[verdict.verdict], sentences(verdict)
    meaning = f"bold {MEANS[verdict.verdict]}"
    if len(first) + len(title) + 3 > width:
        yield Entry(title, "verdict", meaning)
        yield Entry(first, "", "bold")
    else:
        yield Entry(f"{title}   {first}", "verdict", meaning)
    yield Entry(second)
    if verdict.accepted:
        yield Entry(f'Accepted by {verdict.accepted.by}: "{verdict.accepted.reason}"', "", "bold")
    yield Entry()
    span = max(min(width - 8, AXIS[1]), AXIS[0])
    yield from (Entry(line) for line in axis(verdict.low, verdict.difference, verdict.high, verdict.margin, span))
    more = lines(verdict.model_copy(update={"accepted": None}), judged.report, judged.baseline)[3:]
    more.remove("")  # goal and price are in sight in 24 rows
    for number, line in enumerate(more):
        whole = re.sub(r"\bp ([<=]) ", "p\xa0\\1\xa0", line)  # not to be folded apart
        yield Entry(whole, f"line:{number}" if line.strip() else "")
    yield Entry()
    yield Entry(f"Next: {after_verdict(verdict).does}.   Enter", "", "bold")


def axis(low: float, middle: float, high: float, margin: float, width: int) -> list[str]:
    """Return the interval of the difference on a line of points: a scale above it, zero and the margin marked."""
    left, right = min(low, 0.0) - 0.02, max(high, margin) + 0.02

    def at(value: float) -> int:
        return round((value - left) / (right - left) * (width - 1))

    drawn = [" "] * width
    for place in range(at(low), at(high) + 1):
        drawn[place] = "─"
    drawn[at(0.0)], drawn[at(margin)] = "·", ":"
    drawn[at(low)], drawn[at(high)], drawn[at(middle)] = "├", "┤", "o"
    edge = at(margin)
    foot = f"{' ' * (edge - 7)}margin :" if edge >= 7 else f"{' ' * edge}: margin"
    return [f"        {_scale(left, right, at, width)}", f"points  {''.join(drawn)}", f"        {foot}"]


def _scale(left: float, right: float, at: Callable[[float], int], width: int) -> str:
    step = next((step for step in (0.05, 0.1, 0.2, 0.5) if (right - left) / step <= width / 8), 1.0)
    cells = [" "] * width
    for number in range(int(left / step), int(right / step) + 1):
        text = f"{100 * number * step:+.0f}" if number else "0"
        start = max(0, min(at(number * step) - len(text) // 2, width - len(text)))
        cells[start : start + len(text)] = text
    return "".join(cells).rstrip()

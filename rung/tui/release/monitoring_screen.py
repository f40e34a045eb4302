"""Watch: what has changed in production since training? Opened from Release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from rung.text import monitoring_text
from rung.tui.async_list import LoadedLines, StoppableScreen, locked
from rung.tui.job import JobEnded
from rung.tui.widgets.lines import Entry, shown
from workspace.counted import counted

if TYPE_CHECKING:
    from training.monitoring.drift import DriftReport
    from training.monitoring.requests import Import
    from training.monitoring.signals import Signal

RELEASE = 10
SHORT = {
    "question_length": "Length of questions",
    "answer_length": "Length of answers",
    "new_words": "New words",
    "distance": "Distance to rows",
    "topics": "Topics",
    "form_errors": "Errors of form",
    "refusals": "Refusals",
    "failures": "Failed requests",
    "low_ratings": "Low ratings",
    "latency": "Latency",
    "cost": "Cost",
    "judge": "Failed by the judge",
}
EVIDENCE = 2


@dataclass(frozen=True, slots=True)
class Watching:
    """Imports of logs, and the newest report on them; `old` says why that is to be measured again."""

    imports: tuple[Import, ...]
    report: DriftReport | None
    old: str


class WatchScreen(StoppableScreen):
    """The signals with before and now, raised ones first; Enter queues requests for review, `r` measures again."""

    stage = "Release"
    awaits = "Reading the logs"
    keys = (("Enter", "go on"), ("r", "measure"), ("j/k", "move"), ("Esc", "release"), ("F1", "help"), ("^P", "menu"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "measure, or queue requests for review"),
        Binding("r", "measure", "measure again"),
        Binding("w", "why", "why: the release that this is measured against"),
    ]

    @property
    def job_name(self) -> str:
        """Its commands are not those of Release."""
        return "Watch"

    def heading(self) -> str:
        """The screen, the release and the person."""
        release = self.data.report.release if self.data and self.data.report else ""
        return " · ".join(filter(None, ("Watch", release, self.source.person)))

    def load(self) -> LoadedLines:
        """Imports and the newest report; nothing is measured here."""
        from training.monitoring.drift import read_report
        from training.monitoring.requests import read_imports
        from training.release.current import current_release

        project = self.source.project
        standing = current_release(project) if project else None
        if project is None or standing is None:
            return locked("nothing is released yet.", RELEASE, "rung release --to prompt", "rung watch report")
        imports = tuple(made for _, made in read_imports(project))
        if not imports:
            lines = [Entry(), Entry("No request log was imported yet."), Entry("-> rung watch import LOGS")]
            missing = "No request log was imported yet: rung watch import LOGS"
            return LoadedLines(
                [*lines, Entry(), Entry("Next: rung watch import LOGS")], "rung watch import LOGS", lock=missing
            )
        report = read_report(project)
        watching = Watching(imports, report, _old(report, imports, standing[1].id))
        command = "rung watch learn" if report and not watching.old else "rung watch report"
        return LoadedLines(list(_entries(watching, self.room)), command, data=watching)

    def why_ref(self, key: str) -> str:
        """The chain behind the release."""
        return self.data.report.release if self.data and self.data.report else "decision"

    def action_measure(self) -> None:
        """Measure again, in a process of its own."""
        if self.data is None:
            self.repeat_lock()
        else:
            self.start_job("watch", "report")

    def action_go_on(self) -> None:
        """Measure where that is due, else queue requests, after asking once."""
        if self.data is None:
            self.repeat_lock()
        elif self.data.report is None or self.data.old:
            self.action_measure()
        else:
            self.ask_once("Queue up to 200 requests for review, errors first?", self._learn)

    def _learn(self) -> None:
        self.start_job("watch", "learn")

    def job_ended(self, ended: JobEnded) -> None:
        """Show what is known now."""
        self.reload()

    def action_back(self) -> None:
        """Back to Release."""
        self.app.open_stage(RELEASE)  # type: ignore[attr-defined]


def _old(report: DriftReport | None, imports: tuple[Import, ...], standing: str) -> str:
    """Why the report is not the newest word; empty where it is, or where there is none."""
    from training.monitoring.requests import IMPORT

    if report is None:
        return ""
    if any(f"watch/{made.id}/{IMPORT}" not in report.made_from for made in imports):
        return "A log was imported after this was measured."
    return "" if report.release == standing else f"Measured against {report.release}; the release is now {standing}."


def _entries(watching: Watching, room: int) -> Iterator[Entry]:
    report = watching.report
    kept = sum(made.kept for made in watching.imports)
    yield Entry()
    if report is None:
        yield Entry(
            f"{counted(kept, 'request')} in {counted(len(watching.imports), 'import')}, not measured yet.", "", "bold"
        )
        yield Entry()
        yield Entry("Next: measure what has changed.   Enter")
        return
    yield Entry(monitoring_text.headline(report), "", "bold")
    traffic = report.traffic
    yield Entry(f"{traffic.requests:,} requests of {traffic.first_at[:10] or 'no date'} against {report.against}")
    yield Entry(f"False alarms: each at most 1% of reports, any at most {report.any_alarm:.0%}", "", "dim")
    if watching.old:
        yield Entry(f"! {watching.old}")
    yield Entry()
    yield Entry("  Signal                      Was        Now   p", "", "dim")
    for signal in sorted(report.signals, key=lambda each: (each.raised is not True, each.raised is None)):
        yield from _signal(signal, room)
    yield Entry()
    yield Entry(f"Next: {'measure again' if watching.old else 'queue requests for review, errors first'}.   Enter")


def _signal(signal: Signal, room: int) -> Iterator[Entry]:
    title = SHORT.get(signal.name, signal.title)
    if signal.what != "request" and signal.n:
        title += f", of {signal.n + signal.n_before:,}"
    symbol = monitoring_text.SYMBOLS[signal.raised]
    if signal.raised is None:
        yield Entry(f"{symbol} {title:<21} {signal.why}"[:room], signal.name, "dim")
        return
    was, now = monitoring_text.pair(signal)
    yield Entry(
        f"{symbol} {title:<21} {was:>9} {now:>10}   {signal.p:.3f}", signal.name, "bold" if signal.raised else ""
    )
    for text in signal.evidence[:EVIDENCE] if signal.raised else ():
        yield Entry(f"    {shown(monitoring_text.one_line(text, room - 6))}", "", "dim")

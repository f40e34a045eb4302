"""Baselines: does anything cheaper reach the goal?"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from advisor.answer_file import answers_at
from curation.split.manifest import newest_dataset, read_manifest
from evaluation.arms.registry import ASKING_NOTHING, arm_name, arm_option, on_the_ladder
from evaluation.measured_answers import rejudged
from evaluation.measurement_report import Report, newest_report
from evaluation.reuse import outdated
from rung.start import prompt_words
from rung.text.baseline_text import BESIDE, answer, facts, metric_words, name_width, paid, table_rows, taken_over
from rung.tui.async_list import KEEPS, LoadedLines, LoadedScreen, StoppableScreen, locked
from rung.tui.editor import edit_beside
from rung.tui.job import JobEnded
from rung.tui.measure.items_screen import ItemsScreen
from rung.tui.widgets.lines import Entry, shown
from workspace.counted import all_of, duration
from workspace.folder import Project

CLOCK = 1.0
"""Seconds between two looks at the clock while the arms are measured."""
PLOT = (9, 60)
"""Fewest and most columns of the plot."""
ROOM = 62
"""Columns of a question beside its answers in the narrowest frame."""
LOCKED = "no frozen test set. A test set alone is enough here; training rows can wait."


class BaselinesScreen(StoppableScreen):
    """The arms with score, interval and plot; the best prompted one; what the advice made of it."""

    stage = "Baselines"
    keys = (
        ("Enter", "next"),
        ("r", "run arm"),
        ("v", "items"),
        ("e", "edit prompt"),
        ("o", "report"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "measure, or the next step"),
        Binding("r", "run", "measure the marked arm again; the others stay"),
        Binding("R", "run_all", "measure all arms again"),
        Binding("v", "items", "items with output and score"),
        Binding("e", "edit", "edit the prompt: a new version, the old one stays"),
        Binding("o", "report", "where the report is"),
    ]

    folder: Path | None = None
    items = 0
    """Frozen test items."""
    goal_is_open = False
    """True until somebody was asked which score is good enough."""
    fits_width = True
    stopped = "Stopped. Every answer so far is kept; R continues."

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, str] = {}
        self.changed: dict[str, str] = {}
        """Measured arms that cannot be compared with one that is measured now, and why."""
        self.at = ""
        """The arm that was marked when a measuring began: the cursor comes back to it."""

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys; those of items and report come with the first result."""
        later = ("v", "o") if self.data is None else ()
        return [(key, word) for key, word in super().keys_now() if key not in later]

    def load(self, project: Project) -> LoadedLines:
        """Return the newest baseline on the frozen test set."""
        found = newest_dataset(project)
        test = read_manifest(found).splits.get("test") if found else None
        if test is None:
            return locked(LOCKED, 5, "rung data freeze --test-only", "rung baseline")
        self.items = test.rows
        answers = answers_at(project.answers_file)
        self.goal_is_open = answers.goal_score is None and "goal_score" not in answers.answered
        measured = newest_report(project, "baseline", test_sha256=test.sha256)
        if measured is None:
            settings = self.source.settings
            earlier = newest_report(project, "baseline")
            long = _long(earlier[1] if earlier else None, settings.evaluation.arms, test.rows)
            paid = "$0.00" if settings.model.provider == "local" else f"paid to {settings.model.provider}"
            empty = _empty(test.rows, settings.evaluation.arms, f"{long}, {paid}", prompt_words(project))
            return LoadedLines(list(empty), "rung baseline")

        self.folder, report = measured[0], rejudged(measured[1], answers)
        self.changed = outdated(project, self.source.settings, report)
        arms = (arm for arm in self.source.settings.evaluation.arms if arm not in {a.arm for a in report.arms})
        lines = list(_entries(report, self.room, list(arms), self.changed))
        return LoadedLines(lines, "rung baseline", f"{report.id} of {report.created_at:%Y-%m-%d}", report, goes_on=True)

    def next_words(self) -> str:
        """Return the next step in the words of Start; here the goal if none is set."""
        goal = self.state.next if self.state is not None and self.state.state == "needs_you" else ""
        return f"Next: {goal}.   Enter" if goal else super().next_words()

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Keep the running arms on the screen during a measurement."""
        super().show_loaded(message)
        if self.data is not None:
            if self.at in self.lines.keys:
                self.lines.marked, self.at = self.at, ""
            self.cursor_moved()
        self._show_heard()

    def why_ref(self, key: str) -> str:
        """Return the chain behind the report."""
        return self.data.id if self.data is not None else "baseline"

    def action_follow(self) -> None:
        """Measure where nothing is measured, else go where the advice points."""
        if self.data is None:
            self._ask(self._all())
            return
        if self.data.goal is None:
            self.app.open_question("goal_score", then=6)  # type: ignore[attr-defined]
        else:
            self.go_on()

    def action_run(self) -> None:
        """Measure the marked arm again, and those that would no longer be comparable; the others stay."""
        self._ask(self._with_changed(self.marked) if self.marked else self._all())

    def action_run_all(self) -> None:
        """Measure every arm again; what is answered already is not asked again."""
        self._ask(self._all())

    def cursor_moved(self) -> None:
        """Show the command that measures the selected arm."""
        arms = self._with_changed(self.marked) if self.marked else []
        self.command = " ".join(["rung baseline", *(["--arms", ",".join(map(arm_option, arms))] if arms else [])])

    def _with_changed(self, arm: str) -> list[str]:
        return on_the_ladder([arm, *self.changed])

    def _all(self) -> list[str]:
        measured = [arm.arm for arm in self.data.arms] if self.data is not None else []
        return on_the_ladder([*measured, *self.source.settings.evaluation.arms])

    def _ask(self, arms: Sequence[str]) -> None:
        """Ask for the goal first, then in row 23, with what it will take: calls, tokens, dollars."""
        if self.job is not None:
            self.tell("already running; x stops it and keeps the answers")
        elif self.goal_is_open and not self.closed:
            self.app.open_question("goal_score", then=6)  # type: ignore[attr-defined]
        elif not self.repeat_lock():
            free = self.source.settings.model.provider == "local"
            self.ask_once(_asked(self.data, arms, self.items, free), lambda: self._run(arms))

    def _run(self, arms: Sequence[str]) -> None:
        self.at = self.marked
        whole = self.data is None and list(arms) == self._all()
        self.start_job("baseline", *([] if whole else ["--arms", ",".join(map(arm_option, arms))]))
        self._show_heard()

    def on_mount(self) -> None:
        """Show the elapsed time during a measurement."""
        self.set_interval(CLOCK, self._show_heard)

    def show_progress(self, line: str) -> None:
        """Show a line per arm: partial scores are dim and count nowhere."""
        self.heard[line.split("  ")[0]] = line
        self._show_heard()

    def _show_heard(self) -> None:
        if self.job is None or not self.is_drawn:
            return
        so_far = f"{duration(time.time() - self.job.started)} so far"
        told = [Entry(text, style="dim") for text in (*(self.heard.values() or ["starting …"]), so_far)]
        head = Entry("Measuring. A score is a result only when its arm is complete.", "", "bold")
        self.show_lines([Entry(), head, Entry(), *told, Entry(), Entry(KEEPS)])
        self.refresh_frame()

    def job_ended(self, ended: JobEnded) -> None:
        """Show the new report."""
        self.heard.clear()
        self.reload()

    def action_items(self) -> None:
        """Items of the marked arm: output, expected answer, score."""
        if self.data is not None and self.marked not in {"", *(arm.arm for arm in self.data.arms)}:
            self.tell(f"{arm_name(self.marked)} is not measured yet: r measures it")
        elif self.data is not None and self.folder is not None:
            self.app.push_screen(ItemsScreen(self.folder, self.marked or None))

    def action_edit(self) -> None:
        """Open the prompt in the person's editor; the old version stays in `prompts/old/`."""
        if self.source.project is not None:
            self.tell(edit_beside(self.app, self.source.project.prompts / "prompt.md"))

    def action_report(self) -> None:
        """Say where the report is: over SSH nothing can be opened."""
        if self.folder is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.folder / "report.html"))


def _long(earlier: Report | None, arms: Sequence[str], n: int) -> str:
    """Return the expected duration, by the answers of an earlier report; unknown before the first one."""
    each = {arm.arm: arm.p50_seconds for arm in earlier.arms if arm.p50_seconds} if earlier else {}
    if not each:
        return "time known after the first answers"
    typical = sum(each.values()) / len(each)
    return f"about {duration(n * sum(each.get(arm, typical) for arm in arms))} here"


def _asked(report: Report | None, arms: Sequence[str], n: int, free: bool) -> str:
    """Return the size of a measurement, by the last report's answers on test; tokens of a new arm are unknown."""
    known = {arm.arm: arm for arm in report.arms} if report else {}
    what = arm_name(arms[0]) if len(arms) == 1 else f"{len(arms)} arms"
    if not set(arms) <= known.keys():
        calls = n * sum(arm not in ASKING_NOTHING for arm in arms)
        return f"Measure {what}? At least {calls:,} calls, {'$0.00' if free else 'paid'}, tokens unknown."
    again = [known[arm] for arm in arms]
    calls = sum(arm.n for arm in again if arm.arm not in ASKING_NOTHING)
    tokens = sum(arm.input_tokens + arm.output_tokens for arm in again)
    whole = f"Measure {what}? Last time {calls:,} calls, {tokens:,} tokens, {paid(again)}."
    return whole if len(whole) <= ROOM else f"Measure {what}? Last time {calls:,} calls, {paid(again)}."


def _empty(n: int, arms: tuple[str, ...], price: str, prompt: str) -> Iterator[Entry]:
    yield Entry()
    yield Entry(f"No arm measured yet. {len(arms)} arms on {n:,} items, each answered once by the model of rung.toml:")
    yield Entry()
    yield from (Entry(arm_name(arm), arm) for arm in arms)
    yield Entry()
    if prompt:
        yield Entry(f"Prompt: {shown(prompt)}   e edits")
    yield Entry(f"Time and cost: {price}.")
    yield Entry("You can stop at any time: every answer is kept.")
    yield Entry()
    yield Entry("Next: measure them, the cheapest first.   Enter", "", "bold")


def _entries(
    report: Report, width: int, others: Sequence[str] = (), changed: Mapping[str, str] = {}
) -> Iterator[Entry]:
    names = name_width([*(arm.arm for arm in report.arms), *others])
    plot = min(max(width - names - BESIDE, PLOT[0]), PLOT[1])
    yield Entry()
    yield Entry(answer(report), "", "bold")
    yield Entry(f"{report.n:,} frozen test items, {metric_words(report.metric)}, {report.model.split(' (')[0]}")
    yield Entry()
    head, *rows = table_rows(report.arms, report.goal, names, plot)
    yield Entry(head)
    best = max((arm.score for arm in report.arms), default=0.0)
    for arm, row in zip(report.arms, rows, strict=True):
        yield Entry(row, arm.arm, "best" if arm.score == best else "")
    yield from (Entry(f"{arm_name(arm):<{names}}{'-':>8}  not measured", arm, "dim") for arm in others)
    yield Entry()
    yield from (Entry(line) for line in (*facts(report), *_joined(report, changed), "", *taken_over(report.judged)))


def _joined(report: Report, changed: Mapping[str, str]) -> Iterator[str]:
    """Yield the arms measured by an earlier report, those not included here, and those whose inputs changed since."""
    for source in dict.fromkeys(arm.taken_from for arm in report.arms if arm.taken_from):
        names = [arm_name(arm.arm) for arm in report.arms if arm.taken_from == source]
        yield f"As in {source:<13} {all_of(names)}"
    yield from (f"! {note}" for note in report.notes if "not reused" in note)
    for why in dict.fromkeys(changed.values()):
        names = [arm_name(arm) for arm, each in changed.items() if each == why]
        if len(names) == len(report.arms) > 1:
            yield f"! Changed since all arms were measured: {why}; r measures all again"
        else:
            yield f"! {all_of(names)}: {why}; r measures {'that' if len(names) == 1 else 'them'} too"

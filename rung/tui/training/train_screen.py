"""Train: go on, or stop? Progress, curve and figures; the run does not need the screen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.verdict.rule import newest_verdict
from rung.status.stages import after_run
from rung.text.evaluation_text import as_sentence
from rung.text.training_text import ending_words, spent_words, validation_words
from rung.tui.async_list import LONG, LoadedLines, LoadedScreen, locked
from rung.tui.screens.page_screen import PageScreen
from rung.tui.widgets.lines import Entry, shown
from training.plan.memory_fit import this_machine
from training.plan.plans import read_plan
from training.runs import LIVE, MetricLine, RunRecord, curve, read_runs
from training.trials.dry_run import read_preflight
from workspace.counted import counted, duration
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
    """GiB of this machine's GPU, or of the machine; 0 until it was asked."""
    keys = (
        ("Esc", "leave"),
        ("p", "pause"),
        ("x", "stop and save"),
        ("v", "samples"),
        ("w", "why"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "go to the plan, or measure what is finished"),
        Binding("p", "pause", "pause, or go on"),
        Binding("x", "stop", "stop and save"),
        Binding("v", "samples", "sample outputs at each evaluation"),
    ]

    def heading(self) -> str:
        """Return the heading, with the run's name."""
        return f"Train · {self.data.run.id} · {self.source.person}" if self.data else super().heading()

    def on_mount(self) -> None:
        """Look again every second; only the files are read."""
        self.set_interval(EVERY * self.source.tick, self._look_again)

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys: an ended run cannot be paused or stopped."""
        if self.data is None or self.data.is_live:
            paused = self.data is not None and self.data.run.state == "paused"
            return [("p", "go on") if key == "p" and paused else (key, word) for key, word in self.keys]
        return (("Enter", "next"), ("v", "samples"), ("w", "why"), ("[ ]", "stage"))

    def _look_again(self) -> None:
        if self.data is not None and self.data.run.state not in OVER:
            self._load()  # also a run that was stopped: it may be gone on with, here or elsewhere

    def load(self, project: Project) -> LoadedLines:
        """Return the newest run."""
        runs = read_runs(project)
        if not runs:
            return locked("no run yet. A plan whose six gates are open starts one.", 7, "rung plan", "rung train")
        run = runs[-1]
        lines = curve(project.runs / run.id)
        measured = newest_verdict(project, run.id) is not None
        has = self._memory() if lines and run.remote is None else 0.0
        dry = read_preflight(project, run.plan)
        watched = Watched(run, lines, has, dry.loading_seconds if dry else 0.0, _patience(project, run), measured)
        drawn = list(train_entries(watched, self.source.now(), self.room, self.app.size.height))
        return LoadedLines(drawn, f"rung runs watch {run.id}", last_note(watched), watched)

    def _memory(self) -> float:
        """Asked of the system once: it starts a process where there is a GPU."""
        if not self.has:
            self.has = this_machine().memory_gib
        return self.has

    def why_ref(self, key: str) -> str:
        """Return the chain behind the run."""
        return self.data.run.id if self.data else "decision"

    def action_follow(self) -> None:
        """Measure a finished run, resume an interrupted one; without a run open the plan."""
        if self.data is None:
            self.repeat_lock()
            return
        run = self.data.run
        if run.state in LIVE:
            self.tell("training continues; Esc leaves this screen")
        elif run.state in ENDED:
            self.ask_once(f"Resume {run.id} from step {run.step} of {run.steps}?", self._go_on)
        else:
            self.app.open_stage(after_run(run).stage)  # type: ignore[attr-defined]

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
        if self.data is not None:
            sampled = [line for line in self.data.lines if line.get("samples")]
            found = ["\n".join([f"step {line['step']}", *map(_sample, line["samples"])]) for line in sampled]
            told = "\n\n".join(found) or "None yet: they come with the next evaluation."
            self.app.push_screen(PageScreen("Sample outputs", told))


def _patience(project: Project, run: RunRecord) -> int:
    try:
        return read_plan(project.runs / run.id / "plan.toml").recipe.patience
    except (RungError, OSError):
        return 0


LOW, HIGH, TALL = 6, 14, 34
"""Rows of the curve in a terminal of less than `TALL` rows, and in a taller one."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The newest run and the lines of its curve."""

    run: RunRecord
    lines: Sequence[MetricLine]
    has: float = 0.0
    """GiB of the GPU or machine; 0 if it is not asked for."""
    loading: float = 0.0
    """Seconds that the model took to load in the plan's dry run; 0 if there was none."""
    patience: int = 0
    """Evaluations in a row above the best that end it; 0 if the plan cannot be read."""
    measured: bool = False
    """True if there is a verdict on it."""

    @property
    def is_live(self) -> bool:
        """True if a process trains it now."""
        return self.run.state in LIVE


def _sample(found: MetricLine) -> str:
    """Return whether the answer is right, with question and output; the expected answer if it is wrong."""
    mark, more = ("✓", "") if found.get("right") else ("✗", f", expected {found.get('expected', '')}")
    question, output = (str(found.get(name, "")).replace("\n", " ") for name in ("question", "output"))
    return f"{mark} {question} -> {output}{more}"


def _rising(watched: Watched) -> str:
    """Explain an evaluation above the best: how many more end the run, and which checkpoint is kept."""
    newest = next((line for line in reversed(watched.lines) if line["kind"] == "validation"), None)
    above = newest.get("above", 0) if newest else 0
    if newest is None or not above:
        return ""
    left = watched.patience - above
    ends = "; stops at the next one" if left == 1 else f"; stops after {left} more" if left > 1 else ""
    return f"above the best for {counted(above, 'check')}{ends}, keeps step {newest['best_step']}"


def last_note(watched: Watched) -> str:
    """Return the newest thing to know of a run that lives: validation that rises, a checkpoint, what was decided."""
    if not watched.is_live:
        return ""
    for line in reversed(watched.lines):
        if line["kind"] == "validation" and (rising := _rising(watched)):
            return f"! {rising}"
        if line["kind"] == "checkpoint":
            return f"checkpoint {line['step']} saved"
        if line["kind"] == "note":
            return str(line["text"])
    return ""


def train_entries(watched: Watched, now: datetime, width: int, height: int) -> Iterator[Entry]:
    """Yield the sentence, the bar, the curve, the figures, a sample, a warning, and what comes next."""
    run, steps = watched.run, [line for line in watched.lines if line["kind"] == "step"]
    yield Entry()
    yield Entry(_sentence(watched, steps, now), "", "bold")
    step, total = (steps[-1]["step"] if steps else run.step), max(run.steps, 1)
    columns = min(max(width - 7, 30), 100)
    filled = round(columns * min(step / total, 1))
    yield Entry("━" * filled + "─" * (columns - filled) + f"  {step / total:.0%}")
    yield Entry()
    yield from (Entry(line) for line in curve_lines(watched.lines, total, columns - 4, LOW if height < TALL else HIGH))
    validations = [line for line in watched.lines if line["kind"] == "validation"]
    spent = spent_words(run.usd(now))
    yield from (Entry(line) for line in _figures(steps, validations, watched.has, spent))
    sampled = next((line for line in reversed(validations) if line.get("samples")), None)
    if sampled:
        yield Entry(f"Sample {shown(_sample(sampled['samples'][0]), limit=200)}")
    rising = _rising(watched) if watched.is_live else ""
    yield Entry(f"! over-fitting: validation loss is {rising}." if rising else "", "", "bold" if rising else "")
    yield Entry(_next(run, watched.measured), "", "bold")


def _sentence(watched: Watched, steps: Sequence[MetricLine], now: datetime) -> str:
    run = watched.run
    if ending := ending_words(run):
        return as_sentence(ending)
    if not steps:
        return _loading_words(watched, now)
    left = steps[-1].get("eta_seconds")
    word = "Paused" if run.state == "paused" else "Training"
    return f"{word}. Step {steps[-1]['step']} of {run.steps}" + (f", about {duration(left)} left" if left else "")


def _loading_words(watched: Watched, now: datetime) -> str:
    """Return the loaded share of the base model, and the time left by the plan's dry run, else by the layers."""
    run, told = watched.run, next((line for line in reversed(watched.lines) if line["kind"] == "loading"), None)
    waited = (now - run.started_at).total_seconds() if run.started_at else 0.0
    layers, remaining = "", watched.loading - waited
    if told is not None and told["of"]:
        done, of = told["done"], told["of"]
        layers = f", {done} of {of} layers"
        if not watched.loading and done:
            remaining = waited / done * (of - done)
    since = f", {duration(waited)} so far" if waited >= LONG else ""
    left = f", about {duration(remaining)} left" if remaining >= 1 else ""
    form = " in 4 bit" if run.method == "qlora" else ""
    return (
        f"Loading {run.base}{form}{layers}{since}{left}.{spent_words(run.usd(now)) or ' Nothing has been spent yet.'}"
    )


def _figures(steps: Sequence[MetricLine], validations: Sequence[MetricLine], has: float, spent: str) -> Iterator[str]:
    if steps:
        last = steps[-1]
        loss = "no number" if last["loss"] is None else f"{last['loss']:.2f}"
        line = f"train {loss}"
        if validations:
            newest = validations[-1]
            line += f"   validation {validation_words(newest, 2)}, the best {newest['best_loss']:.2f}"
            line += f" (step {newest['best_step']})"
        yield line
        memory, rate = last.get("memory_mib"), last.get("rate")
        room = f"   {memory / 1024:.1f}{f' of {has:.1f}' if has else ''} GiB" if memory else ""
        yield f"{last['tokens_per_second']:.0f} tokens/s{room}" + (f"   rate {rate:.1e}" if rate else "") + spent


def _next(run: RunRecord, measured: bool) -> str:
    after = after_run(run, measured=measured)
    if run.state in LIVE:
        return f"Next: {after.does}."
    return f"Next: {after.does}{f' ({after.stage})' if after.stage != 8 else ''}.   Enter"


WIDTH, HEIGHT = 48, 6


def curve_lines(lines: Sequence[MetricLine], total: int, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """Return rows of text: a title, the plot with three values at its side, the axis. Empty if nothing is measured."""
    train = _points(lines, "step")
    validation = _points(lines, "validation")
    if not train:
        return []
    top = max(loss for _, loss in [*train, *validation]) or 1.0
    grid = [[" "] * width for _ in range(height)]
    for points, mark in ((train, "."), (validation, "o")):
        for step, loss in points:
            column = min(width - 1, round(step / max(total, 1) * (width - 1)))
            row = min(height - 1, max(0, round((1 - loss / top) * (height - 1))))
            grid[row][column] = mark
    labels = {0: f"{top:.1f}", height // 2: f"{top / 2:.1f}", height - 1: "0.0"}
    drawn = [f"{labels.get(row, ''):>6} │{''.join(cells).rstrip()}" for row, cells in enumerate(grid)]
    foot = f"        step 0{'':<{max(1, width - 8 - len(str(total)))}}{total}"
    return ["loss    . train   o validation", *drawn, f"       └{'─' * width}", foot]


def _points(lines: Sequence[MetricLine], kind: str) -> list[tuple[int, float]]:
    found = [(int(line["step"]), line.get("loss")) for line in lines if line["kind"] == kind]
    return [(step, float(loss)) for step, loss in found if loss is not None]

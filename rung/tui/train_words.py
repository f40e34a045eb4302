"""What the Train screen says: how far the run is, its curve and figures, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rung.report.figures import duration
from rung.tui.loaded import LONG
from rung.tui.text import shown
from rung.tui.widgets.curve import curve_lines
from rung.tui.widgets.marked import Entry
from training.record import LIVE, RunRecord
from workspace.words import counted

LOW, HIGH, TALL = 6, 14, 34
"""Rows of the curve in a terminal of less than `TALL` rows, and in a taller one."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The newest run and the lines of its curve."""

    run: RunRecord
    lines: Sequence[dict[str, Any]]
    has: float = 0.0
    """GiB of the card or machine; 0 where it is not asked for."""
    loading: float = 0.0
    """Seconds that the model took to load in the plan's dry run; 0 where there was none."""
    patience: int = 0
    """Evaluations in a row above the best that end it; 0 where the plan cannot be read."""
    measured: bool = False
    """Whether there is a verdict on it."""

    @property
    def is_live(self) -> bool:
        """Whether a process trains it now."""
        return self.run.state in LIVE


def sample_words(line: dict[str, Any]) -> str:
    """Whether it is right, question and output; the expected answer where it is not."""
    return "\n".join(_sample(found) for found in line["samples"])


def _sample(found: dict[str, Any]) -> str:
    mark, more = ("✓", "") if found.get("right") else ("✗", f", expected {found.get('expected', '')}")
    question, output = (str(found.get(name, "")).replace("\n", " ") for name in ("question", "output"))
    return f"{mark} {question} -> {output}{more}"


def _rising(watched: Watched) -> str:
    """What the newest evaluation above the best means: how many more end the run, and what is kept."""
    newest = next((line for line in reversed(watched.lines) if line["kind"] == "validation"), None)
    above = newest.get("above", 0) if newest else 0
    if newest is None or not above:
        return ""
    left = watched.patience - above
    ends = "; stops at the next one" if left == 1 else f"; stops after {left} more" if left > 1 else ""
    return f"{counted(above, 'check')} above the best{ends}, keeps step {newest['best_step']}"


def last_note(watched: Watched) -> str:
    """The newest thing to know of a run that lives: validation that rises, a checkpoint, what was decided."""
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
    """The sentence, the bar, the curve, the figures, a sample, a warning, and what comes next."""
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
    yield from (Entry(line) for line in _figures(steps, validations, watched.has))
    sampled = next((line for line in reversed(validations) if line.get("samples")), None)
    if sampled:
        yield Entry(f"Sample {shown(_sample(sampled['samples'][0]), limit=200)}")
    rising = _rising(watched) if watched.is_live else ""
    yield Entry(f"! over-fitting: validation lies {rising}." if rising else "", "", "bold" if rising else "")
    yield Entry(_next(run, watched.measured), "", "bold")


def _sentence(watched: Watched, steps: Sequence[dict[str, Any]], now: datetime) -> str:
    run = watched.run
    if run.state == "finished":
        best = (
            f" Best checkpoint: step {run.best_step}, validation {run.best_loss:.2f}."
            if run.best_loss is not None
            else ""
        )
        early = f" Ended early: {run.ending}." if run.ending.startswith("over-fitting") else ""
        return f"Finished in {duration(run.seconds)}.{early}{best}"
    if run.state in ("stopped", "crashed", "failed"):
        whole = f" Checkpoint {run.step} is whole." if run.step else ""
        return f"{run.state.capitalize()} at step {run.step}: {run.ending}.{whole}"
    if not steps:
        return _loading_words(watched, (now - run.started_at).total_seconds() if run.started_at else 0.0)
    left = steps[-1].get("eta_seconds")
    word = "Paused" if run.state == "paused" else "Training"
    return f"{word}. Step {steps[-1]['step']} of {run.steps}" + (f", about {duration(left)} left" if left else "")


def _loading_words(watched: Watched, waited: float) -> str:
    """How far the base model has loaded; how long it takes is known from the plan's dry run, else from the layers."""
    run, told = watched.run, next((line for line in reversed(watched.lines) if line["kind"] == "loading"), None)
    layers, remaining = "", watched.loading - waited
    if told is not None and told["of"]:
        done, of = told["done"], told["of"]
        layers = f", {done} of {of} layers"
        if not watched.loading and done:
            remaining = waited / done * (of - done)
    since = f", {duration(waited)} so far" if waited >= LONG else ""
    left = f", about {duration(remaining)} left" if remaining >= 1 else ""
    form = " in 4 bit" if run.method == "qlora" else ""
    return f"Loading {run.base}{form}{layers}{since}{left}. Nothing has been spent yet."


def _figures(steps: Sequence[dict[str, Any]], validations: Sequence[dict[str, Any]], has: float) -> Iterator[str]:
    if steps:
        last = steps[-1]
        loss = "no number" if last["loss"] is None else f"{last['loss']:.2f}"
        line = f"train {loss}"
        if validations:
            best = min(validations, key=lambda found: found["loss"])
            line += f"   validation {validations[-1]['loss']:.2f}, the best {best['loss']:.2f} (step {best['step']})"
        yield line
        memory, rate = last.get("memory_mib"), last.get("rate")
        room = f"   {memory / 1024:.1f}{f' of {has:.1f}' if has else ''} GiB" if memory else ""
        yield f"{last['tokens_per_second']:.0f} tokens/s{room}" + (f"   rate {rate:.1e}" if rate else "")


def _next(run: RunRecord, measured: bool) -> str:
    if run.state == "finished":
        return f"Next: {'the verdict on it' if measured else 'measure it on the test set'} (9).   Enter"
    if run.state == "paused":
        return "Next: p goes on. Everything so far is saved."
    if run.state in LIVE:
        return "Next: wait. Safe to leave: training goes on without this screen."
    if run.state == "failed":
        return "Next: look at the plan (7).   Enter"
    return f"Next: go on with {run.id} from step {run.step}.   Enter"

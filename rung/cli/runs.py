"""The sub-commands `rung runs`, and following a run to its end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json, at_most_one, goes_with
from rung.cli.output import emit, manner, note, show, show_progress
from workspace.errors import Refusal, RungError
from workspace.folder import require_project
from workspace.settings import load_settings, opened_project

if TYPE_CHECKING:
    import subprocess

    from training.runs import MetricLine, RunRecord
    from workspace.folder import Project

STARTING, SENDING = 60.0, 86_400.0
"""Seconds that a process may take to begin: here, and where it first sends the rows to another machine."""
runs_app = typer.Typer(help="Runs: list, watch, pause, stop, resume, adopt.", no_args_is_help=True)
Name = Annotated[str | None, typer.Argument(help="Run, e.g. R-001 (default: the newest).")]


@runs_app.command("list")
def list_runs(as_json: Json = False) -> None:
    """List every run, the oldest first."""
    from rung.status.stages import next_step
    from rung.text.training_text import run_line
    from training.runs import read_runs

    project = require_project()
    load_settings(project.settings_file)
    runs = read_runs(project)
    lines = [run_line(run) for run in runs] or [f"No run yet.  Next: {next_step(project)}"]
    show(as_json, [run.model_dump(mode="json") for run in runs], lines)


@runs_app.command("watch")
def watch(run: Name = None, as_json: Json = False) -> None:
    """Follow a run until it ends. Ctrl-C stops following; the run continues."""
    from training.runs import curve, find_run, is_unfollowed, start

    project, _ = opened_project()
    found = find_run(project, run)
    folder = project.runs / found.id
    if not as_json and is_unfollowed(folder):
        return watch_run(folder, start(project, folder, "--follow"), False, False)
    if as_json:
        return emit({**found.model_dump(mode="json"), "curve": curve(folder)})
    watch_run(folder, None, False, False)


@runs_app.command("pause")
def pause(run: Name = None, as_json: Json = False) -> None:
    """Save and pause a run; `rung runs resume` continues it."""
    _tell(run, "pause", "saves and waits", as_json)


@runs_app.command("stop")
def stop(run: Name = None, as_json: Json = False) -> None:
    """Save and stop a run; `rung runs resume` can continue it later."""
    _tell(run, "stop", "saves and ends", as_json)


@runs_app.command("resume")
def resume(
    run: Name = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once instead of following the run.")] = False,
    as_json: Json = False,
) -> None:
    """Continue a paused, stopped or crashed run."""
    from training.runs import find_run

    project, _ = opened_project()
    go_on(project, find_run(project, run), detach, as_json)


@runs_app.command("adopt")
def adopt(
    folder: Annotated[
        Path | None, typer.Argument(help="Adapter or merged model that was trained elsewhere.", show_default=False)
    ] = None,
    served: Annotated[str, typer.Option(help="A tuned model by its name on the server of [model].")] = "",
    base: Annotated[str, typer.Option(metavar="URL", help="With --served: address of that server.")] = "",
    by: Annotated[str, typer.Option(help="Who adopts it (default: rung.toml's person).")] = "",
    as_json: Json = False,
) -> None:
    """Make a model that was trained elsewhere a run of this project, to evaluate and release it as any run."""
    from rung.text.training_text import ending_lines
    from training.remote.adoption import adopt_folder, adopt_served

    at_most_one({"FOLDER": folder, "--served": served})
    goes_with("--served", bool(served), "rung runs adopt --served NAME", {"--base": base})
    if folder is None and not served:
        raise RungError("Name a folder, or a model on a server.", "rung runs adopt FOLDER, or --served NAME")
    project, settings = opened_project()
    if folder is not None:
        run = adopt_folder(project, settings, folder, by)
    else:
        run = adopt_served(project, settings, served, base, by)
    show(as_json, run.model_dump(mode="json"), ending_lines(run))


def go_on(project: Project, run: RunRecord, detach: bool, as_json: bool) -> None:
    """Watch a run that lives; start the process again for one that was interrupted. Refuses one that ended."""
    from training.runs import LIVE, start, tell

    folder = project.runs / run.id
    if run.state in LIVE:
        tell(project, run.id, "")
        note(f"{run.id} is already training, started {run.started_at:%Y-%m-%d %H:%M} UTC by {run.by}.")
        return watch_run(folder, None, detach, as_json)
    if run.state in ("finished", "failed"):
        raise Refusal(f"{run.id} has {run.state}; it cannot continue.", "rung train")
    note(f"{run.id} continues from step {run.step} of {run.steps}.")
    watch_run(folder, start(project, folder), detach, as_json)


def _tell(name: str | None, word: str, words: str, as_json: bool) -> None:
    from rung.status.stages import after_run
    from training.runs import find_run, is_unfollowed, reconnect, tell

    project = require_project()
    folder = project.runs / find_run(project, name).id
    if is_unfollowed(folder):
        reconnect(project, folder)
    run = tell(project, name, word)
    told = f"{run.id} {words} after this step.  Next: {after_run(run).command}"
    show(as_json, {"run": run.id, "asked": word}, [told])


def watch_run(folder: Path, process: subprocess.Popen[bytes] | None, detach: bool, as_json: bool) -> None:
    """Follow the run to its end and say what it came to; Ctrl-C leaves it going."""
    from training.runs import REFUSED, follow, read_run, wait_until_live

    if detach:
        if process is not None:
            wait_until_live(folder, process, SENDING if read_run(folder).remote else STARTING)
        return say_end(folder, as_json, refused=process is not None and process.poll() == REFUSED)
    line = LiveLine(folder.name)
    try:
        for found in follow(folder, process):
            line.wait(f"{folder.name}  loading") if found is None else line.show(found)
    except KeyboardInterrupt as interrupted:
        line.close()
        note(f"{folder.name} continues in the background.  Follow it: rung runs watch {folder.name}")
        raise typer.Exit(130) from interrupted
    line.close()
    say_end(folder, as_json, refused=process is not None and process.poll() == REFUSED)


def say_end(folder: Path, as_json: bool, *, refused: bool = False) -> None:
    """Print how the run ended; exit 1 after a failure. Raises the process's refusal where it did not start."""
    from rung.text.training_text import ending_lines
    from training.runs import last_words, read_run

    run = read_run(folder)
    if run.state == "cleared" or refused:
        raise Refusal(last_words(folder) or f"{run.id} did not start.", f"See runs/{run.id}/log.txt")
    show(as_json, run.model_dump(mode="json"), ending_lines(run))
    if run.state in ("failed", "crashed"):
        raise typer.Exit(1)


class LiveLine:
    """Loss, step, tokens/s and time left: one line, redrawn on a terminal; elsewhere a plain one now and then."""

    def __init__(self, run: str, every: float = 5.0) -> None:
        self.run = run
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.every = 0.0 if self.live else every
        self.last = 0.0
        self.validation = ""

    def show(self, line: MetricLine) -> None:
        """Take one line of metrics.jsonl."""
        if line["kind"] == "validation":
            from rung.text.training_text import validation_words

            self.validation = f"  validation {validation_words(line)}"
            if not self.live:
                self._write(
                    f"{self.run}  step {line['step']} of {line['steps']}{self.validation}, the best so far is "
                    f"step {line['best_step']}"
                )
        elif line["kind"] == "step" and (time.monotonic() - self.last >= self.every or line["step"] == line["steps"]):
            self.last = time.monotonic()
            self._write(self._text(line))
        elif line["kind"] == "note" and not self.live:
            self._write(f"{self.run}  {line['text']}")

    def wait(self, text: str) -> None:
        """Print what the run waits for while nothing is measured yet."""
        if self.live and not self.last:
            self._write(text)

    def close(self) -> None:
        """End the line, so that later output starts on a new one."""
        if self.live and self.last and not manner.quiet:
            sys.stderr.write("\n")

    def _text(self, line: MetricLine) -> str:
        from rung.text.training_text import spent_words
        from workspace.counted import duration

        loss = "no number" if line["loss"] is None else f"{line['loss']:.3f}"
        left = line.get("eta_seconds")
        eta = f"about {duration(left)} left" if left else "last step" if line["step"] == line["steps"] else ""
        return (
            f"{self.run}  step {line['step']} of {line['steps']}  {line['step'] / line['steps']:.0%}  loss {loss}"
            f"{self.validation}  {line['tokens_per_second']:.0f} tokens/s  {eta}{spent_words(line.get('usd'))}"
        ).rstrip()

    def _write(self, text: str) -> None:
        if not manner.quiet:
            show_progress(text, live=self.live)

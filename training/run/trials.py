"""The child of a sweep or a learning curve: `python -P -m training.run.trials plans/sweep-001`.

Every gate is asked again before a model is loaded. A point that stands in the results is not measured twice, and a
trial that a rung keeps goes on from its checkpoint.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.run.world import follow_the_leader
from training.sweep import steps_at, survivors
from training.trials import Point, Rung, Spec, Trial, admit_trials, append_point, read_points
from workspace.errors import RungError
from workspace.folder import Project, require_project
from workspace.lock import writer_lock
from workspace.settings import Settings, load_settings

REFUSED = 3


def main() -> int:
    """Do what the spec in the folder says. A refusal is the last line of the log, as JSON."""
    follow_the_leader()
    folder = Path(sys.argv[1]).resolve()
    try:
        project = require_project(folder)
        with writer_lock(project.runs / "writer.lock", "Training"):
            work(project, load_settings(project.settings_file), folder)
    except RungError as error:
        sys.stderr.write(json.dumps({"refused": error.message}) + "\n")
        return REFUSED
    return 0


def work(project: Project, settings: Settings, folder: Path) -> None:
    """Ask the gates, then train rung after rung. Raises Refusal where a gate is closed."""
    from training.plan import read_plan
    from training.run.short import ground_of

    spec = admit_trials(project, settings, folder)
    ground = ground_of(project, settings, read_plan(project.plans / f"{spec.plan}.toml"))
    left = [trial.name for trial in spec.trials]
    for number in range(len(spec.rungs)):
        _rung(ground, folder, spec, number, left)
        if number + 1 < len(spec.rungs):
            kept = survivors(read_points(folder), number, spec.rungs[number + 1].count)
            for name in set(left) - set(kept):
                shutil.rmtree(folder / name, ignore_errors=True)
            left = kept


def _rung(ground: Any, folder: Path, spec: Spec, number: int, left: list[str]) -> None:
    done = {(point.trial, point.rung) for point in read_points(folder)}
    last = number + 1 == len(spec.rungs)
    for trial in spec.trials:
        if trial.name in left and (trial.name, number) not in done:
            append_point(folder, _train(ground, folder / trial.name, trial, spec.rungs[number], number, keep=not last))


def _train(ground: Any, folder: Path, trial: Trial, rung: Rung, number: int, *, keep: bool) -> Point:
    """Train a trial up to the rung and look at validation; where it may go on, leave a checkpoint."""
    from training.run.checkpoints import newest_checkpoint
    from training.run.items import picked
    from training.run.short import trainer_of

    started = time.monotonic()
    until = steps_at(trial, rung)
    columns = ground.items.columns
    if trial.rows is not None:
        columns = picked(columns, trial.rows)
    trainer = trainer_of(ground, trial.recipe, columns, folder, [Until(until, keep=keep)])
    start = newest_checkpoint(folder)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    found = trainer.evaluate()
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    loss = float(found["eval_loss"])
    return Point(
        trial=trial.name,
        rung=number,
        step=int(trainer.state.global_step),
        loss=loss if math.isfinite(loss) else None,
        error=float(found.get("eval_error") or 0.0),
        seconds=round(time.monotonic() - started, 2),
    )


class Until(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Stops at a step, with a checkpoint where the trial may go on."""

    def __init__(self, step: int, *, keep: bool) -> None:
        self.step = step
        self.keep = keep

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Stop here?"""
        if state.global_step >= self.step:
            control.should_training_stop = True
            control.should_save = self.keep
        return control


if __name__ == "__main__":
    sys.exit(main())

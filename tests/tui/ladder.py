"""A small project at any height of the ladder, made by the product's functions; only the model's words are scripted.

Each function takes the project one stage further and writes what the real command writes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from clinic import ANSWERS, SETTINGS
from counting import Words
from freezing import approved
from scripted import Scripted
from vouched import rewrite

from advisor.decide import advise_project
from curation.example import Example, chat_row
from curation.split.freeze import freeze
from curation.split.manifest import load_split
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.tuned import run_evaluation
from training.gates.clearance import grant
from training.plan.planning import make_plan
from training.plan.plans import keep_plan
from training.runs import METRICS, read_run, write_run
from workspace.artefact import now
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import load_settings

SOUNDS = [a + b for a in "bdfgklm" for b in "aeiou"]
ITEMS = 60


def rows(count, seed):
    """Rows of which none is near another: every word is made up."""
    chance = random.Random(seed)
    for n in range(count):
        words = ["".join(chance.choice(SOUNDS) for _ in range(4)) for _ in range(7)]
        yield Example(chat_row(" ".join(words), f"E1{n % 4} eye both"))


def reviewed(folder: Path) -> Project:
    """Rows in, every one approved by a person."""
    project = Project(folder)
    folder.mkdir(parents=True)
    project.settings_file.write_text('[project]\nname = "clinic"\nperson = "dana"\n' + SETTINGS)
    project.answers_file.write_text(ANSWERS + "goal_score = 0.8\n")
    parts = {"test": rows(ITEMS, 1), "validation": rows(8, 2), "train": rows(24, 3)}
    approved(project, settings_of(project), **{role: list(made) for role, made in parts.items()})
    advise_project(project)
    return project


def frozen(folder: Path) -> Project:
    """With a frozen dataset."""
    project = reviewed(folder)
    freeze(project, settings_of(project), actor="dana")
    return project


def measured(folder: Path) -> Project:
    """With measured baselines: both arms answer one of the four answers always, right on a quarter.

    The report is one of a version that counted no prompts: its judgement stays, so two arms are enough for training.
    """
    project = frozen(folder)
    bench = open_bench(project, settings_of(project), Scripted(["E10 eye both"]))
    made, report = run_baseline(bench, arms_named(["base", "prompt"]))
    rewrite(made / "report.json", type(report), goal=0.8, judged={}, versions=None)
    advise_project(project)
    return project


def planned(project: Project) -> Path:
    """Write the plan; gives its file."""
    return keep_plan(project, make_plan(project, settings_of(project), Words()))[0]


def cleared(project: Project) -> Path:
    """A run that was cleared and has not begun; gives its folder."""
    return grant(project, settings_of(project), planned(project), by="sam")


def step_line(step, steps, **more):
    """A line of metrics.jsonl as the trainer writes it."""
    loss = round(2.0 / step, 4)
    line = {"kind": "step", "step": step, "steps": steps, "epoch": 1.0, "loss": loss, "rate": 6.3e-5, "grad_norm": 1.0}
    line |= {"tokens": 100 * step, "tokens_per_second": 795.0, "memory_mib": 8909.0, "seconds": 2.0 * step}
    return {**line, "eta_seconds": 2.0 * (steps - step), **more}


def written(folder: Path, lines) -> None:
    """Write these lines into a run's metrics."""
    (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))


def finished(folder: Path) -> None:
    """The run of this folder as it is after its end; its adapter is a file of a few bytes."""
    adapter = folder / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    record, steps = read_run(folder), 12
    sample = {"question": "COPD", "expected": "J44.1", "output": "J44.1", "right": True}
    check = {"kind": "validation", "step": steps, "steps": steps, "loss": 0.41, "error": 0.01, "best_loss": 0.41}
    written(
        folder,
        [*(step_line(n, steps) for n in range(1, steps + 1)), {**check, "best_step": steps, "samples": [sample]}],
    )
    write_run(
        folder,
        record,
        state="finished",
        ending="finished, best checkpoint step 12",
        step=steps,
        steps=steps,
        best_step=steps,
        best_loss=0.41,
        seconds=820.0,
        started_at=now(),
        ended_at=now(),
        adapter=f"{folder.name}/adapter",
        files={path.name: sha256_file(path) for path in adapter.iterdir()},
    )


def judged(project: Project, right: int, run: str = "R-001") -> Path:
    """Measure the run: the first `right` items as expected, the others as the baseline answers. Gives the folder."""
    known = {row.question: row.answer for row in load_split(project.datasets / "v001", "test")[:right]}
    model = Scripted(lambda ask: known.get(str(ask.turns[-1]["content"])) or "E10 eye both")
    bench = open_bench(project, settings_of(project), model)
    return run_evaluation(bench, run, "House line.", [project.runs / run / "run.json"])


def ruled_on(project: Project, right: int) -> Path:
    """Clear, finish and measure R-001, as `judged` does. Gives the folder of the measurement."""
    finished(cleared(project))
    return judged(project, right)


def settings_of(project: Project):
    """The project's settings, without this machine's environment."""
    return load_settings(project.settings_file, {})

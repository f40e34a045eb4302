"""A small project at any height of the ladder, made by the product's functions; only the model's words are scripted.

Each function takes the project one stage further and writes what the real command writes.
"""

import json
from pathlib import Path

from clinic import ANSWERS, SETTINGS, made_up
from counting import Words
from freezing import approved
from released import judged
from scripted import Scripted
from vouched import rewrite

from advisor.decide import advise_project
from curation.example import Example, chat_row
from curation.split.freeze import freeze
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from training.gates.clearance import grant
from training.plan.planning import make_plan
from training.plan.plans import keep_plan
from training.runs import METRICS, read_run, write_run
from workspace.artefact import now
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import load_settings

ITEMS = 60


def reviewed(folder: Path) -> Project:
    """Rows in, every one approved by a person."""
    project = Project(folder)
    folder.mkdir(parents=True)
    project.settings_file.write_text('[project]\nname = "clinic"\nperson = "dana"\n' + SETTINGS)
    project.answers_file.write_text(ANSWERS + "goal_score = 0.8\n")
    made = {
        role: [Example(chat_row(row.question, f"E1{n % 4} eye both")) for n, row in enumerate(made_up(count, seed))]
        for role, count, seed in (("test", ITEMS, 1), ("validation", 8, 2), ("train", 24, 3))
    }
    approved(project, settings_of(project), **made)
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


def written(folder: Path, steps: int, *more) -> None:
    """Write so many of 12 steps into a run's metrics as the trainer does, and more lines."""
    always = {"kind": "step", "steps": 12, "epoch": 1.0, "rate": 6.3e-5, "grad_norm": 1.0, "tokens_per_second": 795.0}
    lines = [
        {**always, "step": n, "loss": round(2.0 / n, 4), "tokens": 100 * n, "memory_mib": 8909.0}
        | {"seconds": 2.0 * n, "eta_seconds": 2.0 * (12 - n)}
        for n in range(1, steps + 1)
    ]
    (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in [*lines, *more]))


def finished(folder: Path) -> None:
    """The run of this folder as it is after its end; its adapter is a file of a few bytes."""
    adapter = folder / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    sample = {"question": "COPD", "expected": "J44.1", "output": "J44.1", "right": True}
    best = {"loss": 0.41, "error": 0.01, "best_loss": 0.41, "best_step": 12}
    written(folder, 12, {"kind": "validation", "step": 12, "steps": 12, **best, "samples": [sample]})
    write_run(
        folder,
        read_run(folder),
        state="finished",
        ending="finished, best checkpoint step 12",
        step=12,
        steps=12,
        best_step=12,
        best_loss=0.41,
        seconds=820.0,
        started_at=now(),
        ended_at=now(),
        adapter=f"{folder.name}/adapter",
        files={path.name: sha256_file(path) for path in adapter.iterdir()},
    )


def ruled_on(project: Project, right: int) -> Path:
    """Clear, finish and measure R-001: the first `right` items as expected, the others as the baseline answers. Gives
    the folder of the measurement.
    """
    finished(cleared(project))
    return judged(project, right, settings=settings_of(project))


def settings_of(project: Project):
    """The project's settings, without this machine's environment."""
    return load_settings(project.settings_file, {})

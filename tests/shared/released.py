"""Making releases of the small project's run in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripted import Scripted

from chat.protocols import Ask
from curation.split.manifest import load_split
from evaluation.bench import open_bench
from evaluation.outcomes import ServedRun
from evaluation.tuned import EvaluationOptions as Asked
from evaluation.tuned import run_evaluation
from training.release.making import ReleaseOptions
from training.release.releasing import release_run, wanted_forms
from training.runs import find_run
from workspace.folder import Project
from workspace.settings import Settings


def judged(
    project: Project,
    settings: Settings,
    right: int,
    otherwise: str = "E10 eye both",
    run: str = "R-001",
    served: ServedRun | None = None,
) -> Path:
    """Measure a run with a scripted model: the first `right` test items as expected, the others `otherwise`."""
    rows = load_split(project.datasets / "v001", "test")
    known = {row.question: row.answer for row in rows[:right]}

    def say(ask: Ask) -> str:
        return known.get(str(ask.turns[-1]["content"])) or otherwise

    bench = open_bench(project, settings, Scripted(say, name=f"scripted {run} {right}"))
    return run_evaluation(bench, run, "House line.", [project.runs / run / "run.json"], Asked(served=served))


def let(project: Project, settings: Settings, to: str, **ways: Any) -> Path:
    """Release R-001 in these forms."""
    run = find_run(project, ways.pop("run", "R-001"))
    return release_run(project, settings, run, wanted_forms(to), ReleaseOptions(**ways))

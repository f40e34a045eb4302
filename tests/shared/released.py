"""Making releases of the small project's run in tests."""

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
from workspace.settings import Settings, load_settings


def judged(
    project: Project,
    right: int,
    otherwise: str = "E10 eye both",
    settings: Settings | None = None,
    served: ServedRun | None = None,
) -> Path:
    """Measure R-001 with a scripted model: the first `right` test items as expected, the others `otherwise`."""
    rows = load_split(project.datasets / "v001", "test")
    known = {row.question: row.answer for row in rows[:right]}

    def say(ask: Ask) -> str:
        return known.get(str(ask.turns[-1]["content"])) or otherwise

    model = Scripted(say, name=f"scripted R-001 {right}")
    bench = open_bench(project, settings or load_settings(project.settings_file), model)
    return run_evaluation(bench, "R-001", "House line.", [project.runs / "R-001" / "run.json"], Asked(served=served))


def let(project: Project, to: str, settings: Settings | None = None, **ways: Any) -> Path:
    """Release R-001 in these forms."""
    settings = settings or load_settings(project.settings_file)
    return release_run(project, settings, find_run(project, "R-001"), wanted_forms(to), ReleaseOptions(**ways))

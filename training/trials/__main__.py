"""The child of short trainings: `python -P -m training.trials trials FOLDER`, or `dry-run PROJECT PLAN OUT`."""

import json
import os
import sys
from pathlib import Path


def main() -> int:
    """Do what the first argument names; returns 0, or `REFUSED` of training.runs where a gate is closed."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    kind, *places = sys.argv[1:]
    return dry_run(*map(Path, places)) if kind == "dry-run" else trials(*map(Path, places))


def trials(folder: Path) -> int:
    """Train what the spec in the folder says. A refusal is the last line of the log."""
    from training.run.processes import follow_the_leader
    from training.runs import REFUSED
    from training.trials.short_run import work
    from workspace.errors import RungError
    from workspace.folder import require_project
    from workspace.lock import writer_lock
    from workspace.settings import load_settings

    follow_the_leader()
    folder = folder.resolve()
    try:
        project = require_project(folder)
        with writer_lock(project.runs / "writer.lock", "Training"):
            work(project, load_settings(project.settings_file), folder)
    except RungError as error:
        sys.stderr.write(" ".join(error.message.split()) + "\n")
        return REFUSED
    return 0


def dry_run(project: Path, plan: Path, out: Path) -> int:
    """Measure a plan and write the figures, or the error, to `out`."""
    os.dup2(2, 1)  # libraries print to stdout; the figures go into a file
    from training.trials.short_run import measure
    from workspace.errors import RungError
    from workspace.files import write_text

    try:
        found = measure(project, plan)
    except RungError as error:
        found = {"error": error.message, "hint": error.hint}
    write_text(out, json.dumps(found, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

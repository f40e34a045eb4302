"""Writes the demo's project folder: an ordinary one, that anybody could have typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rung.demo.task import Rows, Task
from workspace.artefact import now
from workspace.files import write_text
from workspace.folder import Project


def make_folder(root: Path, task: Task, *, fast: bool) -> Rows:
    """Write settings, answers, guideline, prompts, documents and raw rows below `root`; return the rows."""
    import tomli_w

    project = Project(root)
    rows = task.rows(fast)
    write_text(project.guideline_file, task.guideline)
    write_text(root / "about-data.md", "".join(f"- {note}\n" for note in task.notes))
    for name, text in task.prompts.items():
        write_text(project.prompts / name, text)
    for name, text in task.documents().items():
        write_text(project.documents / name, text)
    write_text(root / "raw" / "test.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows.test))
    write_text(root / "raw" / "pool.jsonl", "".join(line + "\n" for line in rows.pool))
    answered = {key: {"by": "the demo", "at": now().isoformat(), "from": "said"} for key in task.answers}
    write_text(project.answers_file, tomli_w.dumps({**task.answers, "answered": answered}))
    write_text(project.settings_file, tomli_w.dumps(_merged(task, fast)))
    return rows


def _merged(task: Task, fast: bool) -> dict[str, Any]:
    settings: dict[str, dict[str, Any]] = {name: dict(table) for name, table in task.settings.items()}
    if fast:
        for name, table in task.fast_settings.items():
            settings.setdefault(name, {}).update(table)
    return {"project": {"name": task.name}, **settings}

"""Artefacts changed as a command of Rung changes them, with the log that names them; and files changed by hand."""

import json
import sqlite3
from pathlib import Path
from typing import TypeVar

from curation.store import open_store
from curation.store.vouching import write_vouched
from training.gates import checks
from training.gates.gate import Gate
from training.plan.plans import Plan, read_plan
from workspace.artefact import Artefact, read_artefact, revised
from workspace.folder import Project, find_project
from workspace.settings import load_settings

Kind = TypeVar("Kind", bound=Artefact)


def rewrite(path: Path, kind: type[Kind], /, **fields: object) -> Kind:
    """The artefact at `path` with other fields, written and named by the log."""
    project = find_project(path.parent)
    assert project is not None
    with open_store(project, load_settings(project.settings_file)) as store:
        write_vouched(store, path, revised(read_artefact(path, kind), **fields), "sam")
    return read_artefact(path, kind)


def edit(path: Path, **fields: object) -> None:
    """Change an artefact by hand; `arms` are the names of those that are to stay."""
    told = json.loads(path.read_text())
    if "arms" in fields:
        fields["arms"] = [arm for arm in told["arms"] if arm["arm"] in str(fields["arms"])]
    path.write_text(json.dumps(told | fields))


def gate(project: Project, name: str, plan: Plan | Path | None, report: str | None = None) -> Gate:
    """The finding of one gate alone for a plan or its file, as rung.toml is now."""
    read = read_plan(plan) if isinstance(plan, Path) else plan
    found: Gate = getattr(checks, f"{name}_gate")(
        checks.GateCase(project, load_settings(project.settings_file), read, report)
    )
    return found


def in_log(project: Project, statement: str) -> None:
    """Run SQL as somebody who may write to the file."""
    with sqlite3.connect(project.database_file) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute(statement)

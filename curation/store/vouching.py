"""Files that the log names by their hash: a manifest, a report, a verdict, a clearance; a change of either shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from curation.store import Store, open_store, store_exists
from curation.store.reading import begins_as, has_lost_lines, log_so_far
from workspace.artefact import Artefact, revised
from workspace.files import sha256_bytes, sha256_file, write_bytes
from workspace.folder import Project, by_number
from workspace.settings import Settings

VOUCHING = {"manifest.json": "freeze", "report.json": "measured", "verdict.json": "ruled", "clearance.json": "cleared"}
"""The event by which the log names a file by SHA-256; its `ref` is the file's folder. A manifest and a report name the
hash of all lines that the log had before: where a file or the log was changed alone, the other shows it.
"""
Vouched = TypeVar("Vouched", bound=Artefact)


def write_vouched(store: Store, path: Path, artefact: Vouched, actor: str, **detail: object) -> Vouched:
    """Write an artefact that the log names first, and give what was written, which may name the log.

    Killed between the two, the command is run again.
    """
    if "log" in type(artefact).model_fields:
        with store.read() as connection:
            artefact = revised(artefact, log=log_so_far(connection))
    data = artefact.to_bytes()
    store.event(VOUCHING[path.name], actor, path.parent.name, {"sha256": sha256_bytes(data), **detail})
    write_bytes(path, data)
    return artefact


def unlike_log(project: Project, settings: Settings, *paths: Path) -> list[Path]:
    """Return the files that differ from those in the log; a file older than its first line in the log counts too."""
    paths = tuple(path for path in paths if path.is_file())
    if not paths or not store_exists(project, settings):
        return []
    with open_store(project, settings) as store:
        return [path for path in paths if not _is_named(store, path)]


def _is_named(store: Store, path: Path) -> bool:
    """True if the log names this file; one of an older Rung, from before the log named any, counts as named."""
    if digests := _digests(store, path):
        return digests[-1] == sha256_file(path)
    named = [each for each in store.events(kind=VOUCHING[path.name]) if {"sha256", "manifest"} & each.detail.keys()]
    first = min((by_number(Path(each.ref)) for each in named), default=None)
    return not _told(path).get("log") and (first is None or by_number(Path(path.parent.name)) < first)


def _digests(store: Store, path: Path) -> list[str]:
    """SHA-256 of the files that the log names for this path, in order."""
    named = [each.detail for each in store.events(kind=VOUCHING[path.name], ref=path.parent.name)]
    return [digest for each in named if (digest := each.get("sha256") or each.get("manifest"))]


def fault_of(project: Project, settings: Settings, *paths: Path) -> str:
    """Return the fault of the first file that is not the log's, or that shows a changed log; empty if there is none."""
    paths = tuple(path for path in paths if path.is_file())
    logs = {path.parent.name: log for path in paths if (log := str(_told(path).get("log", "")))}
    if not paths or not store_exists(project, settings):
        return f"the log is not here, and {next(iter(logs))} was made with it" if logs else ""
    with open_store(project, settings) as store:
        if other := next((path for path in paths if not _is_named(store, path)), None):
            name, kind = other.parent.name, other.stem
            if _digests(store, other):
                return f"{name}: another {kind} than the one that the log names"
            return f"{name}: the log does not name its {kind}: the log is older, or another project's"
        with store.read() as connection:
            if logs and has_lost_lines(connection):
                return "lines were taken out of the log"
            changed = next((name for name, log in logs.items() if not begins_as(connection, log)), "")
    return f"lines of the log from before {changed} were changed or taken out" if changed else ""


def way_back(project: Project, settings: Settings, *paths: Path) -> str:
    """Return what to do about `fault_of`: put back what was there, or go on without what the log does not know."""
    others = unlike_log(project, settings, *paths)
    if not others:
        return "put back what was there, or freeze and measure again: rung data freeze, rung baseline"
    folders = " ".join(dict.fromkeys(project.relative(path.parent) for path in others))
    again = ", ".join(dict.fromkeys(map(_again, others)))
    return f"put back what was there; or, without what was measured there: mv {folders} ELSEWHERE, then {again}"


def _again(path: Path) -> str:
    """Return the command that makes the file again."""
    if path.name == "manifest.json":
        return "rung data freeze"
    if path.name == "clearance.json":
        return "rung train --again"
    run = _told(path).get("run")
    return f"rung evaluate {run}" if run else "rung baseline"


def _told(path: Path) -> dict[str, Any]:
    """Return what a file holds; empty if it cannot be read."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}

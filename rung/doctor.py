"""Is everything here that Rung needs, and whole? Looks, changes nothing."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import RungError
from workspace.extras import install_command, installed
from workspace.files import HALF_FILE
from workspace.folder import SETTINGS_FILE, Project, find_project
from workspace.json_types import JsonObject
from workspace.lock import is_held

EXTRAS = {
    "llm": ("anthropic", "openai"),
    "web": ("starlette", "uvicorn"),
    "postgres": ("psycopg",),
    "quality": ("ftfy", "pyarrow"),
    "train": ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "datasets", "llguidance"),
    "demo": ("simple_icd_10_cm",),
    "keyring": ("keyring",),
    "mcp": ("mcp",),
    "ray": ("ray",),
}
ROOM_GB = 2.0


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One thing that was checked. `ok` is None where it is missing and need not be there."""

    name: str
    ok: bool | None
    fact: str
    hint: str = ""

    def line(self) -> str:
        """`✓ name  fact`, and what to do."""
        symbol = {True: "✓", False: "✗", None: "-"}[self.ok]
        return f"{symbol} {self.name:<12} {self.fact}" + (f"   -> {self.hint}" if self.hint else "")

    def as_json(self) -> JsonObject:
        """For `--json`."""
        return {"name": self.name, "ok": self.ok, "fact": self.fact, "hint": self.hint or None}


def examine(folder: Path) -> list[DoctorCheck]:
    """Every check, in order: the program, its extras, the embedded model, the disk, and the project in `folder`."""
    checks = [_program(), *_extras(), _model(), _disk(folder)]
    project = find_project(folder)
    if project is None:
        return [*checks, DoctorCheck("project", None, f"none in {folder.resolve()}", "rung init")]
    return [*checks, *_project(project)]


def _program() -> DoctorCheck:
    from rung import __version__

    return DoctorCheck("rung", sys.version_info >= (3, 11), f"{__version__} on Python {platform.python_version()}")


def _extras() -> Iterator[DoctorCheck]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not installed(module)]
        if missing:
            yield DoctorCheck(extra, None, f"not installed ({', '.join(missing)})", install_command(extra))
        else:
            yield DoctorCheck(extra, True, "installed")


def _model() -> DoctorCheck:
    from chat.local.embedded import embedded_state

    state = embedded_state(verify=True)
    words = f"{state.state}: {state.detail}" if state.detail else state.state
    if state.state == "ready":
        return DoctorCheck("model", True, words)
    return DoctorCheck("model", None if state.state == "absent" else False, words, "rung demo --fast fetches it")


def _disk(folder: Path) -> DoctorCheck:
    free = shutil.disk_usage(folder).free / 1e9
    return DoctorCheck(
        "disk", free > ROOM_GB, f"{free:.1f} GB free", "" if free > ROOM_GB else f"free {ROOM_GB:.0f} GB"
    )


def _project(project: Project) -> Iterator[DoctorCheck]:
    yield _settings(project)
    yield _trust(project)
    yield _store(project)
    yield from _datasets(project)
    yield _leftovers(project)
    yield from _stages(project)


def _settings(project: Project) -> DoctorCheck:
    from workspace.settings import load_settings

    try:
        load_settings(project.settings_file)
    except RungError as error:
        return DoctorCheck(SETTINGS_FILE, False, error.message, "fix this line in rung.toml")
    return DoctorCheck(SETTINGS_FILE, True, "every key is known")


def _trust(project: Project) -> DoctorCheck:
    """Whether something waits for the account's trust; nothing of the kind is tried here."""
    from workspace.trust import untrusted

    waiting = [claim.name for claim in untrusted(project.root)]
    if waiting:
        return DoctorCheck("trust", None, f"not trusted on this account: {', '.join(waiting)}", "rung trust")
    return DoctorCheck("trust", True, "all code, programs and hosts of the project are trusted, or there are none")


def _store(project: Project) -> DoctorCheck:
    from curation.store import open_store, store_exists
    from workspace.settings import Settings, load_settings

    try:
        settings = load_settings(project.settings_file)
    except RungError:
        settings = Settings()
    if not store_exists(project, settings):
        return DoctorCheck("store", None, "no rows yet", "rung data import FILE")
    try:
        with open_store(project, settings) as store:
            rows = sum(sum(states.values()) for states in store.counts().values())
            only_read = store.is_read_only
    except RungError as error:
        return DoctorCheck("store", False, error.message, error.hint)
    if only_read:
        fact = f"{rows:,} rows; read-only: commands that change rows are refused"
        return DoctorCheck("store", None, fact, "copy the project to a writable folder")
    return DoctorCheck("store", True, f"{rows:,} rows")


def _datasets(project: Project) -> Iterator[DoctorCheck]:
    from curation.split.manifest import changed_splits, read_manifest

    for path in sorted(project.datasets.glob("*/manifest.json")):
        try:
            manifest = read_manifest(path.parent)
        except RungError as error:
            yield DoctorCheck(path.parent.name, False, error.message, error.hint)
            continue
        changed = [*changed_splits(path.parent, manifest), *([path.name] if _is_other(project, path.parent) else [])]
        fact = f"changed since it was frozen: {', '.join(changed)}" if changed else "unchanged since it was frozen"
        yield DoctorCheck(manifest.version, not changed, fact, "rung data freeze" if changed else "")


def _is_other(project: Project, folder: Path) -> bool:
    """Whether the log has another manifest; False where the store cannot be read, which has its own line."""
    from curation.split.audit import is_as_frozen
    from workspace.settings import load_settings

    try:
        return not is_as_frozen(project, load_settings(project.settings_file), folder)
    except RungError:
        return False


def _leftovers(project: Project) -> DoctorCheck:
    """What killed commands left: harmless, never read, and named."""
    found = leftovers(project)
    if not found:
        return DoctorCheck("half files", True, "none")
    first = found[0].relative_to(project.root)
    fact = f"{len(found)} left by an interrupted command, never read: {first}{' ...' if len(found) > 1 else ''}"
    return DoctorCheck("half files", None, fact, "delete them, or rerun the command")


def _stages(project: Project) -> Iterator[DoctorCheck]:
    from rung.status import read_status

    for problem in read_status(project).problems:
        yield DoctorCheck("artefacts", False, problem)


LOCKS = ("datasets/.lock", "evaluations/.lock", "releases/.lock", "runs/writer.lock", "watch/.lock")
OWN = ("documents", "set-aside")
"""Folders that are not looked through: the user's own texts, and what earlier versions set aside."""
WORKSHOPS = (
    "datasets/.tmp/*",
    "releases/.L-*",
    "releases/**/.*.new",
    "runs/*/.adapter.new",
    "runs/*/.adapter.old",
    "runs/*/.room",
    "runs/.rows-*",
    "watch/.W-*",
)
"""Where things are made before they take their place."""
LAST_FILES = {
    "datasets": "manifest.json",
    "evaluations": "report.json",
    "releases": "release.json",
    "runs": "run.json",
    "watch": "import.json",
}
"""The file that is written last: a folder without it is not whole."""


def leftovers(project: Project) -> list[Path]:
    """Files and folders that killed commands left, in order of place; what a living command holds is being made."""
    busy = {lock.split("/")[0] for lock in LOCKS if is_held(project.root / lock)}
    workshops = (path for pattern in WORKSHOPS for path in project.root.glob(pattern))
    every = {*_files(project), *workshops, *_folders(project)}
    inside = {path for left in every for path in left.rglob("*")}
    return sorted(path for path in every - inside if path.relative_to(project.root).parts[0] not in busy)


def _files(project: Project) -> Iterator[Path]:
    """Temporary files of commands that were killed, wherever commands write."""
    for path in project.root.rglob(".*.tmp"):
        inside = path.relative_to(project.root)
        hidden = any(part.startswith(".") for part in inside.parent.parts)
        if HALF_FILE.fullmatch(path.name) and path.is_file() and inside.parts[0] not in OWN and not hidden:
            yield path


def _folders(project: Project) -> Iterator[Path]:
    for room, marker in LAST_FILES.items():
        folder = project.root / room
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and not (path / marker).is_file():
                yield path

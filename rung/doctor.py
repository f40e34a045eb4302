"""Is everything here that Rung needs, and whole? Looks, changes nothing."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workspace.errors import RungError
from workspace.extras import install_command, installed
from workspace.files import sha256_file
from workspace.folder import Project, find_project

EXTRAS = {
    "llm": ("anthropic", "openai"),
    "web": ("starlette", "uvicorn"),
    "postgres": ("psycopg",),
    "quality": ("ftfy", "pyarrow"),
    "train": ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "datasets"),
    "demo": ("simple_icd_10_cm",),
    "keyring": ("keyring",),
    "argilla": ("datasets",),
    "ray": ("ray",),
}
ROOM_GB = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `ok` is None where it is missing and need not be there."""

    name: str
    ok: bool | None
    fact: str
    hint: str = ""

    def line(self) -> str:
        """`✓ name  fact`, and what to do."""
        symbol = {True: "✓", False: "✗", None: "-"}[self.ok]
        return f"{symbol} {self.name:<12} {self.fact}" + (f"   -> {self.hint}" if self.hint else "")

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.name, "ok": self.ok, "fact": self.fact, "hint": self.hint or None}


def examine(folder: Path) -> list[Check]:
    """Every check, in order: the program, its extras, the embedded model, the disk, and the project in `folder`."""
    checks = [_program(), *_extras(), _model(), _disk(folder)]
    project = find_project(folder)
    if project is None:
        return [*checks, Check("project", None, f"none in {folder.resolve()}", "rung init")]
    return [*checks, *_project(project)]


def _program() -> Check:
    from rung import __version__

    return Check("rung", sys.version_info >= (3, 11), f"{__version__} on Python {platform.python_version()}")


def _extras() -> Iterator[Check]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not installed(module)]
        if missing:
            yield Check(extra, None, f"not installed ({', '.join(missing)})", install_command(extra))
        else:
            yield Check(extra, True, "installed")


def _model() -> Check:
    from chat.local.embedded import embedded_state

    state = embedded_state(verify=True)
    words = f"{state.state}: {state.detail}" if state.detail else state.state
    if state.state == "ready":
        return Check("model", True, words)
    return Check("model", None if state.state == "absent" else False, words, "rung demo --fast fetches it")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    return Check("disk", free > ROOM_GB, f"{free:.1f} GB free", "" if free > ROOM_GB else f"free {ROOM_GB:.0f} GB")


def _project(project: Project) -> Iterator[Check]:
    yield _settings(project)
    yield _store(project)
    yield from _datasets(project)
    yield from _leftovers(project)
    yield from _stages(project)


def _settings(project: Project) -> Check:
    from workspace.settings import load_settings

    try:
        load_settings(project.settings_file)
    except RungError as error:
        return Check("rung.toml", False, error.message, "put it right; the screens say which line")
    return Check("rung.toml", True, "every key is known")


def _store(project: Project) -> Check:
    from curation.store import open_store, store_exists
    from workspace.settings import Settings, load_settings

    try:
        settings = load_settings(project.settings_file)
    except RungError:
        settings = Settings()
    if not store_exists(project, settings):
        return Check("store", None, "no rows yet", "rung data import FILE")
    try:
        with open_store(project, settings) as store:
            rows = sum(sum(states.values()) for states in store.counts().values())
            only_read = store.is_read_only
    except RungError as error:
        return Check("store", False, error.message, error.hint)
    if only_read:
        fact = f"{rows:,} rows; nothing can be written here, so what only looks works and the rest is refused"
        return Check("store", None, fact, "copy the project to where you may write")
    return Check("store", True, f"{rows:,} rows")


def _datasets(project: Project) -> Iterator[Check]:
    from curation.manifest import read_manifest

    for path in sorted(project.datasets.glob("*/manifest.json")):
        try:
            manifest = read_manifest(path.parent)
        except RungError as error:
            yield Check(path.parent.name, False, error.message, error.hint)
            continue
        changed = [s.file for s in manifest.splits.values() if sha256_file(path.parent / s.file) != s.sha256]
        fact = f"changed since it was frozen: {', '.join(changed)}" if changed else "unchanged since it was frozen"
        yield Check(manifest.version, not changed, fact, "rung data freeze" if changed else "")


def _leftovers(project: Project) -> Iterator[Check]:
    """What killed commands left, in the project and beside it: harmless, never read, and named."""
    from rung.keeping import half_backups
    from rung.repair import repairs

    found, beside = repairs(project), half_backups(project)
    if found:
        first = found[0].path.relative_to(project.root)
        fact = f"{len(found)} left by a killed command, never read: {first}{' ...' if len(found) > 1 else ''}"
        yield Check("half files", None, fact, "rung doctor --repair")
    if beside:
        names = ", ".join(path.name for path in beside)
        fact = f"{len(beside)} beside the project, of a killed backup or restore: {names}"
        yield Check("half files", None, fact, "rung backup removes it")
    if not found and not beside:
        yield Check("half files", True, "none")


def _stages(project: Project) -> Iterator[Check]:
    from rung.status import read_status

    for problem in read_status(project).problems:
        yield Check("artefacts", False, problem)

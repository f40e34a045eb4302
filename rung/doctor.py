"""Is everything here that Rung needs, and whole? Looks, changes nothing."""

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chat.local.embedded import embedded_state
from curation.split.manifest import changed_splits, read_manifest
from curation.store import open_store, store_exists
from curation.store.vouching import VOUCHING, fault_of, way_back
from rung import __version__
from rung.status.stages import read_status
from workspace.errors import RungError
from workspace.extras import install_command, installed
from workspace.folder import SETTINGS_FILE, Project, find_project
from workspace.json_types import JsonObject
from workspace.settings import Settings, load_settings
from workspace.trust import untrusted

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
    """One thing that was checked. `ok` is None if it is missing and need not be there."""

    name: str
    ok: bool | None
    fact: str
    hint: str = ""

    def line(self) -> str:
        """`✓ name  fact`, and what to do."""
        symbol = {True: "✓", False: "✗", None: "-"}[self.ok]
        return f"{symbol} {self.name:<12} {self.fact}" + (f"   -> {self.hint}" if self.hint else "")

    def as_json(self) -> JsonObject:
        """Return the fields of `--json`."""
        return {"name": self.name, "ok": self.ok, "fact": self.fact, "hint": self.hint or None}


def examine(folder: Path) -> list[DoctorCheck]:
    """Return every check, in order: program, extras, embedded model, disk, and the project in `folder`."""
    version = f"{__version__} on Python {platform.python_version()}"
    checks = [DoctorCheck("rung", sys.version_info >= (3, 11), version), *_extras(), _model(), _disk(folder)]
    project = find_project(folder)
    if project is None:
        return [*checks, DoctorCheck("project", None, f"none in {folder.resolve()}", "rung init")]
    return [*checks, *_project(project)]


def _extras() -> Iterator[DoctorCheck]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not installed(module)]
        if missing:
            yield DoctorCheck(extra, None, f"not installed ({', '.join(missing)})", install_command(extra))
        else:
            yield DoctorCheck(extra, True, "installed")


def _model() -> DoctorCheck:
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
    settings: Settings | None = None
    try:
        settings = load_settings(project.settings_file)
        yield DoctorCheck(SETTINGS_FILE, True, "every key is known")
    except RungError as error:
        yield DoctorCheck(SETTINGS_FILE, False, error.message, "fix this line in rung.toml")
    yield _trust(project)
    yield _store(project, settings or Settings())
    yield from _datasets(project)
    yield from _log(project, settings) if settings else ()
    yield from (DoctorCheck("artefacts", False, problem) for problem in read_status(project).problems)


def _trust(project: Project) -> DoctorCheck:
    """Report project items that wait for the account's trust. Runs none of them."""
    waiting = [claim.name for claim in untrusted(project.root)]
    if waiting:
        return DoctorCheck("trust", None, f"not trusted on this account: {', '.join(waiting)}", "rung trust")
    return DoctorCheck("trust", True, "all code, programs and hosts of the project are trusted, or there are none")


def _store(project: Project, settings: Settings) -> DoctorCheck:
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
    for path in sorted(project.datasets.glob("*/manifest.json")):
        try:
            manifest = read_manifest(path.parent)
        except RungError as error:
            yield DoctorCheck(path.parent.name, False, error.message, error.hint)
            continue
        changed = changed_splits(path.parent, manifest)
        fact = f"changed since it was frozen: {', '.join(changed)}" if changed else "unchanged since it was frozen"
        yield DoctorCheck(manifest.version, not changed, fact, "rung data freeze" if changed else "")


def _log(project: Project, settings: Settings) -> Iterator[DoctorCheck]:
    """Check that the log and the files that it names agree. A store that cannot be read has its own line."""
    files = [path for name in VOUCHING for path in sorted(project.root.glob(f"*/*/{name}"))]
    try:
        fault = fault_of(project, settings, *files)
        hint = way_back(project, settings, *files) if fault else ""
    except RungError:
        return
    yield DoctorCheck("log", not fault, fault or "every file that it names is unchanged", hint)

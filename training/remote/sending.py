"""The files of a project that a run elsewhere needs: plan, frozen rows, and all that the gates there read."""

import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from chat.local.load import EMBEDDED
from chat.privacy import SEALED, is_own, privacy_answers
from curation.store import open_store
from curation.store.engine import copy_database
from evaluation.measurement_report import read_report
from training.plan.plans import Plan
from training.remote.adoption import KEPT
from training.remote.connection import Box
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project, folder_named
from workspace.settings import Settings

SINGLE = ("rung.toml", "answers.toml", "decision.json", "guideline.md")
FOLDERS = ("rules", "prompts", "metrics", "arms")
REPORT = ("report.json", "outputs.jsonl")


def may_leave(project: Project, settings: Settings, box: Box) -> None:
    """Raise Refusal if the privacy answer keeps rows on own machines and this one is none of them.

    Also where the rows are in PostgreSQL: the gates there could not read them.
    """
    host = box.place.host.rpartition("@")[2]
    if SEALED in privacy_answers(project.answers_file) and not is_own(host, settings.privacy.own_hosts):
        raise Refusal(
            f"Not sent: your answer privacy = {SEALED} keeps rows on your own machines (asked for: {host}).",
            f'[privacy] own_hosts = ["{host}"] in rung.toml, if it is one of them',
            where="answers.toml",
        )
    if settings.store.url:
        raise Refusal(
            "[store] url names a PostgreSQL database; a remote run needs its rows in rung.db.",
            "rung train on a machine that reaches the database",
            where="rung.toml",
        )


def root_there(project: Project, box: Box) -> str:
    """Return the folder of the project's copy on the machine: its name, and a hash of its path here."""
    digest = sha256(str(project.root.resolve()).encode()).hexdigest()[:8]
    return f"{box.place.folder.rstrip('/')}/{project.name}-{digest}"


@contextmanager
def to_send(project: Project, settings: Settings, plan: Plan) -> Iterator[Mapping[str, Path]]:
    """Give each file by its name in the project; the database is a copy that nobody writes to."""
    with tempfile.TemporaryDirectory() as room:
        found = {path.relative_to(project.root).as_posix(): path for path in _files(project, plan)}
        copy = Path(room) / project.database_file.name
        copy_database(project.database_file, copy)
        yield {**found, project.database_file.name: copy}


def send(project: Project, settings: Settings, plan: Plan, box: Box) -> int:
    """Bring the machine's copy of the project up to date; returns how many files were missing there."""
    may_leave(project, settings, box)
    root = root_there(project, box)
    base = folder_named(plan.recipe.base)
    if plan.recipe.base != EMBEDDED and base.is_dir():
        _send_base(base, box, plan.recipe.base if base.is_absolute() else f"{root}/{plan.recipe.base}")
    with to_send(project, settings, plan) as files:
        hashes = {name: sha256_file(path) for name, path in files.items()}
        missing = box.ask("missing", root=root, files=hashes)["missing"]
        _put(box, root, {name: files[name] for name in missing})
    with open_store(project, settings) as store:
        store.event("sent", settings.project.person, plan.id, {"to": box.place.host, "files": hashes})
    return len(missing)


def _send_base(base: Path, box: Box, there: str) -> None:
    """Send the folder of the base model to where the plan names it, a file at a time; other contents stay as they are.

    Where they are another model, the machine refuses the run.
    """
    files = {path.name: path for path in sorted(base.iterdir()) if path.suffix in KEPT and path.is_file()}
    found = box.ask("missing", root=there, files={name: sha256_file(path) for name, path in files.items()})
    if not found["other"]:
        for name in found["missing"]:
            _put(box, there, {name: files[name]})


def _put(box: Box, root: str, files: Mapping[str, Path]) -> None:
    """Pack the files and have them unpacked in `root` there."""
    if not files:
        return
    with tempfile.NamedTemporaryFile(suffix=".tar") as packed:
        with tarfile.open(packed.name, "w", dereference=True) as tar:
            for name, path in files.items():
                tar.add(path, name, recursive=False)
        hashes = {name: sha256_file(path) for name, path in files.items()}
        box.ask("put", Path(packed.name), root=root, files=hashes)


def _files(project: Project, plan: Plan) -> Iterator[Path]:
    """Ordinary files only: a link could bring in what is no part of the project."""
    places = [project.root / name for name in (*SINGLE, *FOLDERS)]
    places += [project.plans / f"{plan.id}.toml", project.datasets / plan.dataset]
    for report in project.evaluations.glob("*/report.json"):
        if read_report(project, report.parent.name)[1].kind == "baseline":
            places += [report.parent / name for name in REPORT]
    if plan.recipe.reward:
        run = project.runs / plan.recipe.reward
        places += [run / "run.json", run / "plan.toml", run / "clearance.json", run / "adapter"]
    for place in places:
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (
            path for path in found if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
        )

"""Asking the machine that trains: OpenSSH as it is here, one call for one question; and the files that a run needs."""

import json
import os
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, NoReturn
from zipfile import ZIP_DEFLATED, ZipFile

from chat.local.load import EMBEDDED
from chat.privacy import SEALED, is_own, privacy_answers
from curation.store import open_store
from curation.store.engine import copy_database
from evaluation.measurement_report import read_report
from training.plan.plans import Plan
from training.remote import box
from training.remote.adoption import KEPT
from workspace.artefact import revised
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project, folder_named
from workspace.json_types import JsonObject
from workspace.settings import RemoteSettings, Settings
from workspace.shipped_rules import rules_folder
from workspace.trust import REMOTE, demand

CONFIG = "RUNG_SSH_CONFIG"
"""Variable with another ssh configuration than the account's own. rung.toml cannot name one: it can start programs."""
OPTIONS = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=3")
FILES = b'{"files"'
"""Start of the line before a tar."""
LINE = 255
"""Exit code of ssh itself."""
NOT_FOUND = (126, 127)


class LineLost(RungError):
    """The machine could not be reached, or the connection ended before the answer."""


class NoPython(Refusal):
    """`python` of the machine is not there."""


class DiskFull(Refusal):
    """The disk of the machine is full; what was there before is as it was."""


class Box:
    """The machine that `[remotes.NAME]` names, for one project."""

    def __init__(self, name: str, place: RemoteSettings) -> None:
        self.name, self.place = name, place

    def ask(self, operation: str, payload: Path | None = None, **asked: object) -> JsonObject:
        """Return the answer of `box.OPERATION`. Raises LineLost, and Refusal with what the machine says against it."""
        with self._call(operation, asked, payload) as out:
            lines = out.read().splitlines()  # a shell may greet before the answer
        answer: JsonObject = json.loads(lines[-1])
        if answer.get("full"):
            raise DiskFull(f"{self.name}: {answer['refused']}.", "Free some of it, then rung runs resume")
        if "refused" in answer:
            raise Refusal(f"{self.name}: {answer['refused']}", answer["hint"] or f"rung remote check {self.name}")
        return answer

    def install(self) -> None:
        """Install this very Rung there, in the environment of `python`. Raises Refusal for one that others made."""
        try:
            has_rung = self.ask("look", folder=self.place.folder)["rung"] is not None
        except NoPython:
            has_rung = False
        with tempfile.TemporaryDirectory() as room:
            wheel = write_wheel(Path(room))
            asked = {"python": self.place.python.removeprefix("~/"), "has_rung": has_rung, "wheel": wheel.name}
            Box(self.name, revised(self.place, python="python3")).ask(
                "install", wheel, **asked, sha256=sha256_file(wheel)
            )

    @contextmanager
    def fetch(self, **asked: object) -> Iterator[tuple[Mapping[str, str], IO[bytes]]]:
        """Fetch the hashes of a run's files, and their tar inside the block."""
        with self._call("get", asked) as out:
            first = next((line for line in out if line.startswith(FILES)), b"")
            yield json.loads(first)["files"] if first.endswith(b"\n") else {}, out

    @contextmanager
    def _call(self, operation: str, asked: Mapping[str, object], payload: Path | None = None) -> Iterator[IO[bytes]]:
        """Send program, question and payload, give the output, and raise where the call did not end well."""
        program = Path(box.__file__).read_bytes()
        begin = f"import sys; exec(compile(sys.stdin.buffer.read({len(program)}), 'box', 'exec'))"
        words = [self.place.python.removeprefix("~/"), "-c", begin, operation]
        own = ["-F", os.environ[CONFIG]] if os.environ.get(CONFIG) else []
        ssh = ["ssh", *own, *(word for option in OPTIONS for word in ("-o", option)), "-T"]
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    [*ssh, "--", self.place.host, shlex.join(words)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                )
            except FileNotFoundError as error:
                raise RungError("ssh is not installed here.", "apt install openssh-client") from error
            assert process.stdin is not None and process.stdout is not None
            try:
                _send(process.stdin, program + json.dumps(asked).encode() + b"\n", payload)
                yield process.stdout
                process.stdout.read()
            except BaseException:
                process.terminate()
                raise
            finally:
                process.stdout.close()
                code = process.wait()
            if code:
                self._fail(code, said)

    def _fail(self, code: int, said: IO[bytes]) -> NoReturn:
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else f"exit code {code}"
        if code in NOT_FOUND:
            raise NoPython(
                f"{self.name}: {self.place.python} is not there ({last}).", f"rung remote check {self.name} --install"
            )
        if code == LINE or code < 0 or not lines:
            raise LineLost(f"{self.name}: {last}", f"ssh {self.place.host}", where=self.place.host)
        raise Refusal(f"{self.name}: {last}", f"rung remote check {self.name}")


def _send(stdin: IO[bytes], asked: bytes, payload: Path | None) -> None:
    """Write all of it; a machine that closes early says why with its exit code."""
    try:
        stdin.write(asked)
        if payload is not None:
            with payload.open("rb") as file:
                while block := file.read(1 << 20):
                    stdin.write(block)
        stdin.close()
    except BrokenPipeError:
        pass


def open_box(project: Project, settings: Settings, name: str) -> Box:
    """Return the machine by its name in rung.toml. Raises RungError for an unknown one, Refusal before `rung trust`."""
    place = settings.remotes.get(name)
    if place is None:
        known = ", ".join(sorted(settings.remotes)) or "none"
        raise RungError(
            f"No [remotes.{name}] in rung.toml (named there: {known}).",
            f'[remotes.{name}] host = "user@box" (or provider = "together") in rung.toml, then rung trust',
            where="rung.toml",
        )
    if place.provider:
        raise Refusal(f"[remotes.{name}] is a provider, not a machine.", f"rung train --on {name}", where="rung.toml")
    demand(project.root, REMOTE, name)
    return Box(name, place)


TOP = Path(__file__).resolve().parents[2]
PACKAGES = ("advisor", "chat", "curation", "evaluation", "rung", "training", "workspace")
SKILL = "rung/agents/SKILL.md"


def write_wheel(folder: Path) -> Path:
    """Write `rung-VERSION-py3-none-any.whl` into the folder, from a checkout or an installed package alike."""
    found = distribution("rung")
    about = f"rung-{found.version}.dist-info"
    files = {name: path.read_bytes() for name, path in _packaged()}
    for name in ("METADATA", "entry_points.txt"):
        files[f"{about}/{name}"] = (found.read_text(name) or "").encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: rung\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    made = folder / f"rung-{found.version}-py3-none-any.whl"
    with ZipFile(made, "w", ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD")))
    return made


def _packaged() -> Iterator[tuple[str, Path]]:
    """Yield each file by its name in the wheel; a checkout has rules and the skill beside the packages."""
    for package in PACKAGES:
        yield from _below(package, TOP / package)
    if not (TOP / SKILL).is_file():
        yield from _below("advisor/rules", rules_folder())
        yield SKILL, TOP / "skills" / "rung" / "SKILL.md"


def _below(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{name}/{path.relative_to(folder).as_posix()}", path


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

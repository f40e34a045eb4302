"""Asking the machine that trains: OpenSSH as it is on this machine, one call for one question."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, NoReturn
from zipfile import ZIP_DEFLATED, ZipFile

from training.remote import box
from workspace.artefact import revised
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
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
    files = {name: path.read_bytes() for name, path in _files()}
    for name in ("METADATA", "entry_points.txt"):
        files[f"{about}/{name}"] = (found.read_text(name) or "").encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: rung\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    made = folder / f"rung-{found.version}-py3-none-any.whl"
    with ZipFile(made, "w", ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD")))
    return made


def _files() -> Iterator[tuple[str, Path]]:
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

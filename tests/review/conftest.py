from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from freezing import rows

from curation.example import Example, chat_row
from curation.freeze import plan_freeze
from curation.review import Desk, open_desk
from workspace.folder import Project
from workspace.settings import Settings

MakeDesk = Callable[..., Desk]


MakeRows = Callable[..., list[Example]]


@pytest.fixture(scope="session")
def rows_of() -> MakeRows:
    """`rows_of(count, start=0)`: rows of which none is near another, for the words of each are its own."""

    def make(count: int, start: int = 0) -> list[Example]:
        made = []
        for number in range(start, start + count):
            words = " ".join(f"w{number}x{k}" for k in range(12))
            made.append(Example(chat_row(f"Question {words}?", f"answer {number}")))
        return made

    return make


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "rung.toml").write_text("")
    return Project(tmp_path)


@pytest.fixture
def make_desk(project: Project) -> Iterator[MakeDesk]:
    """`make_desk(**review settings)`: a desk on the project, closed at the end."""
    opened: list[Desk] = []

    def make(clock: Callable[[], float] = time.time, url: str = "", **review: object) -> Desk:
        settings = Settings.model_validate({"review": review, "store": {"url": url}})
        desk = open_desk(project, settings)
        opened.append(desk)
        return Desk(desk.store, project, settings, clock)

    yield make
    for desk in opened:
        desk.store.close()


@pytest.fixture
def desk(make_desk: Any) -> Any:
    """60 pool rows and 20 test rows, all to be reviewed."""
    made = make_desk(pool="all")
    made.store.add(rows(60, 1), role="pool")
    made.store.add(rows(20, 2), role="test")
    plan_freeze(made.store, made.project, made.settings)
    return made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server on loopback; call it for the URL of a new, empty database."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    binaries = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="rung-postgres-"))
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    switch = {"user": user} if os.geteuid() == 0 else {}

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **switch)  # type: ignore[call-overload]

    run(str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "rung", "-A", "trust", "--no-sync")
    server = subprocess.Popen(
        [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **switch,  # type: ignore[arg-type]
    )
    made: list[str] = []

    def new_database() -> str:
        name = f"rung{len(made)}"
        run(str(binaries / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "rung", name)
        made.append(name)
        return f"postgresql://rung@127.0.0.1:{port}/{name}"

    try:
        _wait(binaries, port)
        yield new_database
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: the data goes with the folder
        server.wait(600)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(binaries: Path, port: int) -> None:
    command: Sequence[str] = (str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(port))
    for _ in range(3000):
        if subprocess.run(command, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError("the PostgreSQL server did not come up")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The store's URL: empty for SQLite, a fresh database for PostgreSQL."""
    if request.param == "sqlite":
        return ""
    new_database: Callable[[], str] = request.getfixturevalue("postgres")
    return new_database()


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def rung(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in the project through `main`, as the installed script does."""
    from rung.cli import main

    monkeypatch.chdir(project.root)

    def run(*arguments: str, wanted: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["rung", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        done = Done(int(left.value.code or 0), *capsys.readouterr())
        assert done.returncode == wanted, done
        return done

    return run

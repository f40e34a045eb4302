"""A small real project, made with the real commands, and the program on a copy of it."""

import itertools
import json
import shutil
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import ladder
import pytest
from hosted_replies import completion
from in_process import rung
from once import once

from curation.example import chat_row
from rung.tui.app import RungApp
from rung.tui.job import running_jobs
from rung.tui.source import ScreenSource
from workspace.folder import Project

ANSWERS = """
task = "extraction"
prompting = "partial"
prompt_effort_days = 6
failure = "breaks_rules"
output_form = "strict"
breadth = "narrow"
goal_score = 0.8
"""
HOSTILE = "\x1b]8;;http://x\x07link\x1b[31m [red]not red[/] [@click=app.quit]quit[/] \u202eevil\u202c end"


def rows(start, count, hostile=""):
    """Chat rows with different questions and short answers."""
    for n in range(start, start + count):
        side, month = ("left", "right")[n % 2], n % 12 + 1
        question = f"Claim {n}: the {side} device number {n * 7919} broke in month {month}{hostile}"
        yield json.dumps(chat_row(question, f"C{n % 5}"))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A project with answers, a pool, a test set in review, and one hostile row."""
    return once(tmp_path_factory, "made", lambda folder: make_claims(folder / "claims")) / "claims"


def make_claims(folder):
    folder.mkdir()
    rung("init", cwd=folder, code=0)
    settings = (folder / "rung.toml").read_text().replace('name = "claims"', 'name = "claims"\nperson = "dana"')
    (folder / "rung.toml").write_text(settings)
    (folder / "answers.toml").write_text(ANSWERS)
    (folder / "test.jsonl").write_text("\n".join(rows(0, 12)) + "\n")
    (folder / "pool.jsonl").write_text("\n".join([*rows(100, 40), *rows(900, 1, HOSTILE)]) + "\n")
    rung("advise", cwd=folder, code=0)
    for role in ("test", "pool"):
        rung("data", "import", f"{role}.jsonl", "--as", role, cwd=folder, code=0)


@pytest.fixture
def project(made, tmp_path):
    """A copy of the project that a test may change."""
    target = tmp_path / "claims"
    shutil.copytree(made, target)
    return target


@pytest.fixture
def program():
    """Make the program on a folder, with a clock that stands and a moment that advances a second a look."""

    def make(folder):
        source = ScreenSource.of(folder)
        ticks = itertools.count()
        source.moment = lambda: float(next(ticks))
        source.now = lambda: datetime(2026, 11, 25, 14, 2, tzinfo=UTC)
        return RungApp(source)

    return make


@pytest.fixture(scope="session")
def climbed(tmp_path_factory):
    """A project with measured baselines in which every gate of training is open."""
    return once(tmp_path_factory, "climbed", lambda folder: ladder.measured(folder / "clinic")) / "clinic"


@pytest.fixture
def clinic(climbed, tmp_path):
    """A copy of that project, which a test may change or take further."""
    shutil.copytree(climbed, tmp_path / "clinic")
    return Project(tmp_path / "clinic")


class Held(ScreenSource):
    """A source that workers wait for while `gate` is shut, with a clock that only the test moves."""

    @property
    def project(self):
        if threading.current_thread() is not threading.main_thread():
            self.__dict__["gate"].wait(60)
        return self.__dict__["held"]

    @project.setter
    def project(self, value):
        self.__dict__.setdefault("gate", threading.Event()).set()
        self.__dict__["held"] = value


@pytest.fixture
def held():
    """Make the program on a folder with a `Held` source: `app.source.gate`, `app.source.seconds`."""
    made = []

    def make(folder):
        source = Held.of(folder)
        source.seconds = 1.0  # type: ignore[attr-defined]
        source.moment = lambda: source.seconds  # type: ignore[attr-defined]
        source.now = lambda: datetime(2026, 11, 25, 14, 2, tzinfo=UTC)
        source.tick = 0.01
        made.append(source)
        return RungApp(source)

    yield make
    for source in made:
        source.gate.set()  # type: ignore[attr-defined]


@pytest.fixture
def served(tmp_path, loopback, monkeypatch):
    """A frozen project whose model is a server that waits for `go` in the middle of the first arm."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    project = ladder.frozen(tmp_path / "clinic")
    model = f'[model]\nprovider = "openai"\nbase = "tiny"\nbase_url = "{loopback.url}/v1"\n'
    project.settings_file.write_text(project.settings_file.read_text() + model)
    server = SimpleNamespace(requests=loopback.requests, waits=threading.Event(), go=threading.Event())

    def respond(*_):
        if len(server.requests) > 45:
            server.waits.set()
            server.go.wait(60)
        return 200, completion("E10 eye both")

    loopback.say(respond)
    yield project, server
    server.go.set()
    for job in running_jobs(project.root):
        job.stop()

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import in_process
import pytest
from databases import postgres  # noqa: F401
from freezing import rows, rows_of
from rows_in_files import lines

from curation.example import Example
from curation.review import Desk, open_desk
from curation.split.plan import plan_freeze
from workspace.folder import Project
from workspace.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "rung.toml").write_text("")
    return Project(tmp_path)


@pytest.fixture
def make_desk(project: Project) -> Iterator[Callable[..., Desk]]:
    """`make_desk(**review settings)`: a desk on the project, closed at the end; so many candidates and own rows."""
    opened: list[Desk] = []

    def make(
        clock: Callable[[], float] = time.time, url: str = "", candidates: int = 0, own: int = 0, **review: object
    ) -> Desk:
        settings = Settings.model_validate({"review": review, "store": {"url": url}})
        desk = open_desk(project, settings)
        opened.append(desk)
        for role, count in (("candidates", candidates), ("pool", own)):
            if count:
                desk.store.add(rows_of(count), role=role)
        return Desk(desk.store, project, settings, clock)

    yield make
    for desk in opened:
        desk.store.close()


@pytest.fixture
def desk(make_desk):
    """60 pool rows and 20 test rows, all to be reviewed."""
    made = make_desk(pool="all")
    made.store.add(rows(60, 1), role="pool")
    made.store.add(rows(20, 2), role="test")
    plan_freeze(made.store, made.project, made.settings)
    return made


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The store's URL: empty for SQLite, a fresh database for PostgreSQL."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres")())


@pytest.fixture
def rung(project, monkeypatch: pytest.MonkeyPatch):
    """Run a command in the project, as the installed script does; it must end with `wanted`."""
    monkeypatch.chdir(project.root)
    return lambda *words, wanted=0: in_process.rung(*words, code=wanted)


@pytest.fixture
def told(rung):
    """The document that a command prints for `--json`."""
    return lambda *words, wanted=0: json.loads(rung(*words, "--json", wanted=wanted).stdout)


@pytest.fixture
def imported(rung, project):
    """Write rows to a file of this name, and import it with these options; its name."""

    def make(name: str, rows: list[Example], *options: str) -> str:
        lines(project.root / name, [row.row for row in rows])
        rung("data", "import", name, *options)
        return name

    return make


@pytest.fixture
def ruled(told):
    """`ruled(verdict, item)`: decide the item, or the next one, by command; the item, and the document."""

    def decide(verdict: str, item: Any = None, *options: str, reviewer: str = "dana") -> Any:
        item = item or told("review", "next", "--reviewer", reviewer)
        held = ("--token", item["token"], "--reviewer", reviewer)
        return item, told("review", "decide", item["id"], verdict, *held, *options)

    return decide

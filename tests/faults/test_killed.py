"""SIGKILL at seeded moments of each command: the project opens, nothing is half, the same command ends the work.

Of an upgrade of the database the schema is the old one or the new one, and nothing is lost. A moment is an event that
the command itself brings about (a file opened to write, made, renamed, removed; a statement that a database is given),
so that a busy machine changes nothing. Training, evaluating and releasing weights: tests/training/test_run.py.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from databases import first_schema
from killing import KILLED, assert_ended, assert_sound, moments, standing
from sqlalchemy import create_engine, text
from warm import warm
from works import HOSTED, WORKS, answer

from curation.store.engine import HEAD
from workspace.folder import Project

FEW = {"import": 3, "dedup": 2, "generate": 2, "review": 2, "freeze": 3, "evaluate": 1, "release": 1}
MANY = {**dict.fromkeys(FEW, 25), "freeze": 0}
"""At how many moments; 0: at each."""


@pytest.mark.parametrize(
    ("name", "count"), [*FEW.items(), *(pytest.param(*each, marks=pytest.mark.slow) for each in MANY.items())]
)
def test_killed_it_goes_on(name: str, count: int, stages: Any, loopback: Any, tmp_path: Path) -> None:
    work, url = WORKS[name], loopback.say(answer).url + "/v1"
    env = {**HOSTED, "RUNG_MODEL__BASE_URL": url}
    before = stages(work.stage, url)
    shutil.copytree(before, tmp_path / "whole")
    for file in before.parent.glob("*.*"):
        shutil.copy(file, tmp_path)
    whole = warm(*work.words, at=tmp_path / "whole", **env)
    assert whole.code == 0, whole.err
    stood, wanted = standing(before), standing(tmp_path / "whole")
    for moment in moments(whole.events, count or whole.events, name):
        root = tmp_path / f"at{moment}"
        shutil.copytree(before, root)
        killed = warm(*work.words, at=root, kill_at=moment, **env)
        assert killed.code in (KILLED, 0), killed.err
        assert_sound(root)
        stands = standing(root)
        assert set(stood.get("decisions", ())) <= set(stands.get("decisions", ())), "no decision is lost"
        assert {row[2] for row in stood.get("rows", ())} <= {row[2] for row in stands.get("rows", ())}
        assert stood["versions"].items() <= stands["versions"].items()
        again = warm(*work.words, at=root, **env)
        assert again.code == 0, (moment, again.err)
        assert standing(root) == wanted, moment
        assert_ended(root)
        assert not (root / "datasets" / ".tmp").exists()
        shutil.rmtree(root)


KEPT = (
    "SELECT version_num FROM alembic_version",
    "SELECT id, row_id, reviewer_id, verdict, payload, reason, at FROM decisions ORDER BY id",
    "SELECT id, role, payload, original FROM rows ORDER BY id",
    "SELECT id, name, kind FROM reviewers ORDER BY id",
    "SELECT id, at, actor, kind, ref, detail FROM events WHERE kind <> 'sample' ORDER BY id",
)
LOOK = ("review", "status", "--json")
"""Draws the samples, too, each with a line in the log."""


def found(url: str) -> tuple[str, list[Any]]:
    """The revision of a database, and what people did."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        revision, *kept = ([tuple(line) for line in connection.execute(text(words))] for words in KEPT)
        if url.startswith("sqlite"):
            assert connection.execute(text("PRAGMA integrity_check")).all() == [("ok",)]
    engine.dispose()
    return revision[0][0], kept


@pytest.mark.parametrize(
    ("count", "on_server"),
    [(3, False), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((25, False), (15, True)))],
)
def test_a_killed_upgrade_leaves_one_schema_and_every_decision(
    count: int, on_server: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A server rolls back the killed program's transaction; the next one does not wait for it."""

    def old(name: str) -> tuple[Path, str]:
        """A project whose database has the first schema, and where that is."""
        root = tmp_path / name
        root.mkdir()
        url = request.getfixturevalue("postgres")() if on_server else ""
        (root / "rung.toml").write_text(f'[store]\nurl = "{url}"\n' if url else "")
        first_schema(Project(root), url)
        return root, url or f"sqlite:///{root / 'rung.db'}"

    def states_of(root: Path) -> tuple[object, int]:
        """How many rows stand in which state, as the command says that upgrades what is older, and its events."""
        done = warm(*LOOK, at=root)
        assert done.code == 0, done.err
        return json.loads(done.out)["states"], done.events

    root, url = old("whole")
    revision, kept = found(url)
    assert revision == "0001" and kept[0]
    states, events = states_of(root)
    assert found(url) == (HEAD, kept)
    stood = set()
    for moment in moments(events, count, "upgrade"):
        root, url = old(f"at{moment}")
        assert warm(*LOOK, at=root, kill_at=moment).code == KILLED
        revision, after = found(url)
        assert revision in ("0001", HEAD) and after == kept, moment
        stood.add(revision)
        assert states_of(root)[0] == states, moment
        assert found(url) == (HEAD, kept), moment
        copies = sorted(root.glob("rung.db.before-*"))
        assert [path.name for path in copies] == ([] if on_server else [f"rung.db.before-{HEAD}"]), moment
        assert all(found(f"sqlite:///{copy}") == ("0001", kept) for copy in copies), moment
    assert count == 3 or stood == {"0001", HEAD}

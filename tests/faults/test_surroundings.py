"""A full disk, folders that cannot be written or read, a folder that vanishes, files of another version.

In a project where nothing can be written, what only looks works, with every row, and what changes is refused.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pytest
from databases import first_on_sqlite
from killing import assert_ended, assert_sound, standing
from warm import Done, ordinary, warm
from works import HOSTED, WORKS, answer

from curation.example import Example
from curation.store import Store, open_store
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

ROOMS = (0, 16, 100)
"""KiB that a full disk has left."""
NAMES = [name if name == "freeze" else pytest.param(name, marks=pytest.mark.slow) for name in WORKS]


def plain(done: Done, *words: str) -> None:
    """A sentence for people, of a fault that is not the program's."""
    assert done.code in (1, 2), done
    assert "Traceback" not in done.err and any(word in done.err.lower() for word in words), done.err


def close_to_writing(root: Path) -> None:
    for path in (*root.rglob("*"), root):
        path.chmod(path.stat().st_mode & ~0o222)


def open_to_writing(root: Path) -> None:
    subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """A disk with `left` KiB free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(max(0, free - left * 1024)))
    try:
        yield
    finally:
        (disk / "filler").unlink()


@pytest.fixture
def begun(stages: Any, loopback: Any, tmp_path: Path) -> Any:
    """`begun(stage, room)`: a fresh project in `room` at this stage, and the environment of its commands."""
    url = loopback.say(answer).url + "/v1"

    def make(stage: str, room: Path) -> tuple[Path, dict[str, str]]:
        before = stages(stage, url)
        for file in before.parent.glob("*.*"):
            shutil.copy(file, room)
        root = Path(shutil.copytree(before, room / "p"))
        return root, {**HOSTED, "RUNG_MODEL__BASE_URL": url, "XDG_CACHE_HOME": str(tmp_path)}

    return make


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_at_each_write(name: str, begun: Any, small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    root, env = begun(WORKS[name].stage, tmp_path / "whole")
    before = standing(root)
    assert warm(*WORKS[name].words, at=root, **env).code == 0
    wanted = standing(root)
    root, env = begun(WORKS[name].stage, small_disk)
    refused = 0
    for left in ROOMS:
        with filled(small_disk, left):
            done = warm(*WORKS[name].words, at=root, **env)
        if done.code == 0:
            break
        plain(done, "disk is full", "no space")
        refused += 1
        assert not set(before.get("decisions", ())) - set(standing(root).get("decisions", ()))
    assert refused
    assert_sound(root)
    assert warm(*WORKS[name].words, at=root, **env).code == 0
    assert standing(root) == wanted
    assert_ended(root)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_cannot_be_written(name: str, begun: Any, tmp_path: Path) -> None:
    root, env = begun(WORKS[name].stage, tmp_path)
    before = standing(root)
    close_to_writing(root)
    try:
        done = warm(*WORKS[name].words, at=root, ordinary=True, **env)
        assert warm("status", at=root, ordinary=True).code == 0
    finally:
        open_to_writing(root)
    plain(done, "permission", "read-only", "nothing can be written", "cannot be opened")
    assert standing(root) == before
    assert warm(*WORKS[name].words, at=root, **env).code == 0


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        *((name, False) for name in ("rung.toml", "rung.db", "answers.toml", "datasets")),
        *((name, True) for name in ("rung.db", "prompts", "datasets")),
    ],
)
def test_a_part_that_cannot_be_read_or_vanishes(name: str, goes: bool, begun: Any, tmp_path: Path) -> None:
    root, env = begun("frozen", tmp_path)
    (root / name).rename(tmp_path / "gone") if goes else (root / name).chmod(0)
    for words in (("status",), ("advise",), ("baseline", "--arms", "base"), ("data", "freeze"), ("doctor",)):
        done = warm(*words, at=root, ordinary=True, **env)
        assert done.code in (0, 1, 2) and "Traceback" not in done.err, (words, done.err)


@pytest.mark.parametrize("words", [("status",), ("data", "freeze"), ("doctor",), ("init",)], ids=lambda words: words[0])
def test_a_folder_that_vanishes_under_the_feet(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    done = warm(*words, at=tmp_path / "p", vanish=True)
    plain(done, "folder")
    assert done.code == 2 and not (tmp_path / "p").exists()


@pytest.mark.parametrize("changed", [{"schema_version": 99}, {"schema_version": 99, "new_field": 1}])
@pytest.mark.parametrize("name", ["datasets/v001/manifest.json", "evaluations/E-001/report.json"])
def test_an_artefact_of_a_newer_version_is_named_as_one(
    changed: dict[str, int], name: str, begun: Any, tmp_path: Path
) -> None:
    root, env = begun("measured", tmp_path)
    path = root / name
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changed}))
    for words in (("doctor",), ("release", "--to", "prompt")):
        done = warm(*words, at=root, **env)
        assert done.code in (1, 2) and "Traceback" not in done.err
        assert "newer Rung" in done.out + done.err, (words, done)


def test_outputs_that_changed_since_they_were_measured_are_to_be_measured_again(begun: Any, tmp_path: Path) -> None:
    root, _ = begun("measured", tmp_path)
    before = json.loads(warm("status", "--json", at=root).out)["stages"][5]
    (root / "evaluations/E-001/outputs.jsonl").open("a").write("\n")
    after = json.loads(warm("status", "--json", at=root).out)
    assert before["state"] != "needs_you" or "E-001" not in before["reason"]
    assert (after["stages"][5]["state"], after["next"]) == ("needs_you", "baselines")
    assert "E-001" in after["stages"][5]["reason"]


LOOKS = (
    ("status",), ("data", "check"), ("review", "status"), ("review",), ("why", "r-000001"), ("doctor",), ("advise",),
    ("runs", "list"), ("data", "check", "--show", "balance"),
)  # fmt: skip
CHANGES = (
    ("review", "next"), ("data", "import", "../pool.jsonl", "--rejects", "../out.csv"),
    ("review", "invite", "mo"), ("review", "serve"),
    ("data", "generate", "--count", "1", "--yes"), ("advise", "--set", "task=code"),
    ("review", "export", "-o", "../out.csv"), ("data", "dismiss", "balance", "--by", "sam", "--reason", "so it is"),
)  # fmt: skip


@pytest.fixture
def closed(begun: Any, tmp_path: Path) -> Iterator[Path]:
    """A project of which every file and folder is read-only."""
    root, _ = begun("imported", tmp_path)
    close_to_writing(root)
    yield root
    open_to_writing(root)


def test_what_only_looks_works_and_leaves_no_trace(closed: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in closed.rglob("*") if path.is_file()}
    for words in LOOKS:
        done = warm(*words, at=closed, ordinary=True, XDG_CACHE_HOME=str(tmp_path))
        assert done.code in (0, 1) and "cannot be" not in done.out + done.err, (words, done)
    assert {path: path.read_bytes() for path in closed.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_what_changes_is_refused_before_anything_is_done(words: tuple[str, ...], closed: Path, tmp_path: Path) -> None:
    done = warm(*words, at=closed, ordinary=True, XDG_CACHE_HOME=str(tmp_path))
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err, done
    assert "read-only" in done.err or "Permission denied" in done.err
    assert not (tmp_path / "out.csv").exists()


def test_it_is_told_what_is_not_kept(closed: Path, tmp_path: Path) -> None:
    told = warm("review", "status", at=closed, ordinary=True).err
    assert told.startswith("! ") and "read-only" in told and told.count("\n") == 1
    store = warm("doctor", "--json", at=closed, ordinary=True, XDG_CACHE_HOME=str(tmp_path)).out
    fact = next(check for check in json.loads(store)["checks"] if check["name"] == "store")
    assert fact["ok"] is None and "read-only" in fact["fact"]
    closed.chmod(0o755)
    (closed / "decision.json").unlink(missing_ok=True)
    closed.chmod(0o555)
    advised = warm("advise", at=closed, ordinary=True)
    assert advised.code == 0 and "Next" in advised.out and "decision.json" in advised.err
    new = closed / "guideline.md"
    new.chmod(0o644)
    new.write_text("# Another\n\nAnother guideline.\n")
    assert warm("review", "status", at=closed, ordinary=True).code == 0


def test_a_read_only_disk(begun: Any, small_disk: Path) -> None:
    root, env = begun("imported", small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for words in LOOKS:
        done = warm(*words, at=root, **env)
        assert done.code in (0, 1) and "cannot be" not in done.out + done.err, (words, done)
    assert warm("review", "next", at=root).code == 2


# The store's own file, log and index


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of one row."""
    found = Project(tmp_path / "q")
    found.root.mkdir()
    (found.root / "rung.toml").write_text("")
    with open_store(found, Settings()) as store:
        add(store, "one")
    yield found
    open_to_writing(found.root)


def add(store: Store, *texts: str) -> None:
    store.add([Example({"prompt": text, "completion": "c"}) for text in texts], role="pool")


def seen(store: Store) -> list[str]:
    return [str(row.example.row["prompt"]) for row in store.rows()]


@pytest.mark.parametrize("index", [True, False])
def test_rows_that_stand_in_the_log_alone_are_read(
    index: bool, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a killed program leaves its newest row."""
    with open_store(project, Settings()) as store:
        add(store, "two")
        for end in ("", "-wal", "-shm"):
            shutil.copy(project.root / f"rung.db{end}", project.root / f"kept{end}")
    for end in ("", "-wal", "-shm"):
        (project.root / f"kept{end}").replace(project.root / f"rung.db{end}")
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))  # the shared one holds those of other programs
    if not index:
        (project.root / "rung.db-shm").unlink()
    close_to_writing(project.root)
    with ordinary(), open_store(project, Settings()) as store:
        assert store.is_read_only and seen(store) == ["one", "two"]
        with pytest.raises(RungError, match="written"):
            add(store, "more")
        assert seen(store) == ["one", "two"]
        assert len(list(copies.iterdir())) == (not index)
    assert not list(copies.iterdir())


def test_a_store_that_another_account_goes_on_writing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))  # a copy would be torn by the next write
    with open_store(project, Settings()) as owner:
        add(owner, "two")
        close_to_writing(project.root)
        with ordinary(), open_store(project, Settings()) as store:
            assert store.is_read_only and seen(store) == ["one", "two"]
            add(owner, "three")
            assert seen(store) == ["one", "two", "three"], "each look sees what the other has written since"


def test_several_threads_look_while_the_store_changes(project: Project) -> None:
    """No copy is removed between the moment it is made and the moment it is opened."""
    close_to_writing(project.root)

    def look(store: Store) -> None:
        for _ in range(60):
            with suppress(Refusal):
                assert seen(store) == ["one"]

    with ordinary(), open_store(project, Settings()) as store, ThreadPoolExecutor(4) as people:
        looks = [people.submit(look, store) for _ in range(4)]
        for moment in takewhile(lambda _: not all(each.done() for each in looks), count(1)):
            os.utime(project.database_file, (moment, moment))
        assert [each.exception() for each in looks] == [None] * 4


@pytest.mark.parametrize("mode", [(0o444, 0o755), (0o644, 0o555)])
def test_a_file_or_its_folder_alone(mode: tuple[int, int], project: Project) -> None:
    project.database_file.chmod(mode[0])
    project.root.chmod(mode[1])
    with ordinary(), open_store(project, Settings()) as store:
        assert store.is_read_only and seen(store) == ["one"]


def test_one_of_an_older_schema_is_not_brought_up_to_date_there(project: Project) -> None:
    project.database_file.unlink()
    first_on_sqlite(project.database_file)
    close_to_writing(project.root)
    with ordinary(), pytest.raises(RungError) as told:
        open_store(project, Settings())
    assert told.value.hint

"""A release or a rollback killed at any moment from where it takes place: it stands and is logged, or is none."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import KILLED, Warm, assert_sound, warmed

from curation.store import open_store
from training.release.current import CURRENT, current_id, read_current
from training.release.releases import release_names
from workspace.folder import Project
from workspace.settings import load_settings

SIGNED = ("--by", "sam", "--reason", "longer answers")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with warmed(
        tmp_path_factory.mktemp("warm"), "rung.cli.release.release_commands", "training.release.releasing", "sqlalchemy"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def released(built: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with L-001, and L-002 in the place of it."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("released") / "clinic"))
    for _ in range(2):
        done = warm("release", "--to", "prompt", at=root)
        assert done.code == 0, done.err
    return root


def logged(root: Path, kind: str) -> Counter[str]:
    project = Project(root)
    with open_store(project, load_settings(project.settings_file)) as store:
        return Counter(event.ref for event in store.events(kind=kind))


def killed_late(warm: Warm, before: Path, room: Path, *words: str) -> Iterator[tuple[Path, int]]:
    """Copies of the project in which the command was killed, at every second moment from its last one on backwards."""
    whole = Path(shutil.copytree(before, room / "whole" / "clinic"))
    events = warm(*words, at=whole).events
    for moment in range(events, 0, -2):
        root = Path(shutil.copytree(before, room / f"at{moment}" / "clinic"))
        assert warm(*words, at=root, kill_at=moment).code == KILLED
        yield root, moment


def test_a_killed_release_stands_and_is_logged_or_is_none(warm: Warm, released: Path, tmp_path: Path) -> None:
    late = 0
    for root, moment in killed_late(warm, released, tmp_path, "release", "--to", "prompt"):
        names = release_names(Project(root))
        assert current_id(Project(root)) == names[-1], moment
        if moment % 3 == 0:
            assert_sound(warm, root)
        again = warm("release", "--to", "prompt", at=root)
        assert again.code == 0, (moment, again.err)
        names = release_names(Project(root))
        current = read_current(Project(root))
        assert current is not None and [step.release for step in current.steps] == names, moment
        assert [step.before for step in current.steps] == [None, *names[:-1]], moment
        assert logged(root, "released") == Counter(names), moment
        late += len(names) == 4
        if len(names) == 3:
            break
    assert late > 3, "the release took its place well before its last moment"


def test_a_killed_rollback_is_logged_or_is_none(warm: Warm, released: Path, tmp_path: Path) -> None:
    late = 0
    for root, moment in killed_late(warm, released, tmp_path, "release", "rollback", *SIGNED):
        if current_id(Project(root)) == "L-002":
            break
        late += 1
        assert warm("release", "--to", "prompt", at=root).code == 0, moment
        assert logged(root, "rolled_back") == Counter(["L-001"]), moment
        assert current_id(Project(root)) == "L-003"
    assert late > 1


@pytest.mark.parametrize("words", [("--to", "prompt"), ("rollback", *SIGNED)], ids=["release", "rollback"])
def test_on_a_disk_that_gets_full_at_any_point_what_stood_stands(
    warm: Warm, released: Path, small_disk: Path, words: tuple[str, ...]
) -> None:
    root, fill = Path(shutil.copytree(released, small_disk / "clinic")), small_disk / "fill"
    current = (root / "releases" / CURRENT).read_bytes()
    refused = 0
    for left in range(0, 200, 4):
        fill.write_bytes(b"")
        fill.write_bytes(bytes(shutil.disk_usage(small_disk).free - 1024 * left))
        done = warm("release", *words, at=root)
        if done.code == 0:
            break
        refused += 1
        assert done.code == 2 and ("disk is full" in done.err or "No space left" in done.err), done.err
        assert (root / "releases" / CURRENT).read_bytes() == current, left
        assert release_names(Project(root)) == ["L-001", "L-002"], left
    assert refused > 3 and done.code == 0
    assert current_id(Project(root)) == ("L-003" if "--to" in words else "L-001")


def test_a_rollback_that_cannot_be_logged_is_none(warm: Warm, released: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(released, tmp_path / "clinic"))
    as_it_was = (root / "releases" / CURRENT).read_bytes()
    done = warm("release", "rollback", *SIGNED, at=root, RUNG_STORE__URL="sqlite:////no/such/place.db")
    assert done.code != 0 and (root / "releases" / CURRENT).read_bytes() == as_it_was


def test_what_stands_in_the_place_of_a_hidden_folder_goes_and_nothing_behind_it(
    warm: Warm, released: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(released, tmp_path / "clinic"))
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (root / "releases" / ".L-003").symlink_to(kept)
    (root / "releases" / ".L-004").touch()
    done = warm("release", "--to", "prompt", at=root)
    assert done.code == 0, done.err
    assert (kept / "file").is_file() and not list((root / "releases").glob(".L-*"))

"""A release killed from where it takes its place, or stopped by a full disk: it is whole and logged, or none."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import KILLED, assert_sound
from warm import warm

from curation.store import open_store
from training.release.releases import release_names
from workspace.folder import Project
from workspace.settings import load_settings


@pytest.fixture(scope="module")
def released(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def killed_late(before: Path, room: Path, *words: str) -> Iterator[tuple[Path, int]]:
    """Copies of the project in which the command was killed, at every second moment from its last one on backwards."""
    whole = Path(shutil.copytree(before, room / "whole" / "clinic"))
    events = warm(*words, at=whole).events
    for moment in range(events, 0, -2):
        root = Path(shutil.copytree(before, room / f"at{moment}" / "clinic"))
        assert warm(*words, at=root, kill_at=moment).code == KILLED
        yield root, moment


def test_a_killed_release_stands_and_is_logged_or_is_none(released: Path, tmp_path: Path) -> None:
    late = 0
    for root, moment in killed_late(released, tmp_path, "release", "--to", "prompt"):
        if moment % 3 == 0:
            assert_sound(root)
        again = warm("release", "--to", "prompt", at=root)
        assert again.code == 0, (moment, again.err)
        names = release_names(Project(root))
        assert logged(root, "released") == Counter(names), moment
        late += len(names) == 4
        if len(names) == 3:
            break
    assert late > 3, "the release took its place well before its last moment"


def test_on_a_disk_that_gets_full_at_any_point_nothing_is_released(released: Path, small_disk: Path) -> None:
    root, fill = Path(shutil.copytree(released, small_disk / "clinic")), small_disk / "fill"
    refused = 0
    for left in range(0, 200, 4):
        fill.write_bytes(b"")
        fill.write_bytes(bytes(shutil.disk_usage(small_disk).free - 1024 * left))
        done = warm("release", "--to", "prompt", at=root)
        if done.code == 0:
            break
        refused += 1
        assert done.code == 2 and "Traceback" not in done.err, done.err
        assert release_names(Project(root)) == ["L-001", "L-002"], left
    assert refused > 3 and done.code == 0 and release_names(Project(root))[-1] == "L-003"


def test_a_release_that_cannot_be_logged_is_none(released: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(released, tmp_path / "clinic"))
    done = warm("release", "--to", "prompt", at=root, RUNG_STORE__URL="sqlite:////no/such/place.db")
    assert done.code != 0 and sorted(path.name for path in (root / "releases").glob("*L-*")) == ["L-001", "L-002"]


def test_the_name_of_a_removed_release_is_not_given_again(released: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(released, tmp_path / "clinic"))
    shutil.rmtree(root / "releases" / "L-002")
    assert warm("release", "--to", "prompt", at=root).code == 0
    assert release_names(Project(root)) == ["L-001", "L-003"]


def test_what_stands_in_the_place_of_a_hidden_folder_goes_and_nothing_behind_it(released: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(released, tmp_path / "clinic"))
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (root / "releases" / ".L-003").symlink_to(kept)
    (root / "releases" / ".L-004").touch()
    assert warm("trust", at=root).code == 0
    done = warm("release", "--to", "prompt", at=root)
    assert done.code == 0, done.err
    assert (kept / "file").is_file() and not list((root / "releases").glob(".L-*"))

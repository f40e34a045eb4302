"""Faults of a release, kills and full disks: one plain message, nothing half-made left, the release before intact."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bank import changed
from killing import KILLED, assert_sound
from lives import gone, wait_until
from released import judged, let
from warm import warm

from training.release.gguf import serving
from training.release.releases import current_release, ever_released, release_names, verify
from training.release.releasing import copy_chain, release_untuned
from training.release.tools import CONVERTER, _kept
from training.runs import read_run, write_run
from workspace.artefact import hashes
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def stands(project: Project, before: Path) -> None:
    found = current_release(project)
    assert found is not None and found[0] == before and verify(before).faults == []
    assert [path.name for path in project.releases.iterdir() if path.is_dir()] == [before.name]


def llama(tmp_path: Path, settings: Settings, script: str, **values: object) -> Settings:
    """Settings that name a llama.cpp of ours, whose server is this script."""
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "llama-server").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "llama" / "llama-server").chmod(0o755)
    (tmp_path / "llama" / "libllama.so").touch()
    return changed(settings, "release", llama_cpp=str(tmp_path / "llama"), **values)


def test_a_full_disk(shipping: Project, settings: Settings, small_disk: Path) -> None:
    shipping.releases.symlink_to(small_disk)
    before = release_untuned(shipping, settings, by="sam")
    with pytest.raises(RungError, match=r"L-002.*disk"):
        let(shipping, "adapter,merged")
    stands(shipping, before)


def test_a_converter_that_is_killed(
    shipping: Project, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = release_untuned(shipping, settings, by="sam")
    monkeypatch.setenv("RUNG_CACHE_DIR", str(tmp_path / "cache"))
    tool = _kept(CONVERTER, "converter")[0]
    tool.mkdir(parents=True)
    half = "import os, sys; open(sys.argv[sys.argv.index('--outfile') + 1], 'w').write('half'); os.kill(os.getpid(), 9)"
    (tool / "convert_hf_to_gguf.py").write_text(half)
    (tool / "ready").touch()
    with pytest.raises(Refusal, match=r"f32.*SIGKILL"):
        let(shipping, "gguf", llama(tmp_path, settings, "exit 0"))
    stands(shipping, before)


SERVES = """from pathlib import Path; from training.release.gguf import serving; from workspace.settings import *
with serving(Settings(release=ReleaseSettings(llama_cpp={folder!r})), Path('m'), 512): pass"""
CONVERTS = (
    "from training.release.tools import run_tool, Path; run_tool('x', [{folder!r} + '/llama-server'], {{}}, Path('t'))"
)


@pytest.mark.parametrize("code", [SERVES, CONVERTS], ids=["server", "converter"])
def test_a_killed_release_leaves_no_child(settings: Settings, tmp_path: Path, code: str) -> None:
    note = tmp_path / "pid"
    llama(tmp_path, settings, f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 600")
    command = [sys.executable, "-c", code.format(folder=str(tmp_path / "llama"))]
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    try:
        wait_until(note.exists)
        parent.kill()
        parent.wait()
        wait_until(lambda: gone(int(note.read_text())))
    finally:
        parent.kill()
        parent.wait()


def serves_none(named: Settings, told: str) -> None:
    """Serving a model with these settings is refused in these words."""
    with pytest.raises(Refusal, match=told), serving(named, Path("model.gguf"), 512):
        pass


@pytest.mark.parametrize(
    ("script", "told", "patience"),
    [
        ("echo 'error: cannot open model' >&2; exit 3", "3; error: cannot open model", 60),
        ("kill -ILL $$", "processor", 60),
        ("kill -KILL $$", "SIGKILL", 60),
        ("exec sleep 600", "not ready after 1 s", 1),
    ],
)
def test_a_server_that_ends_at_once_or_is_never_ready(
    settings: Settings, tmp_path: Path, script: str, told: str, patience: int
) -> None:
    note = tmp_path / "pid"
    script = f"echo $$ > {note}.new; mv {note}.new {note}; {script}"
    serves_none(llama(tmp_path, settings, script, ready_seconds=patience), told)
    if note.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(note.read_text()), 0)


def test_a_port_in_use_and_a_missing_binary(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        serves_none(llama(tmp_path, settings, "exit 0", port=port), str(port))
    serves_none(changed(settings, "release", llama_cpp=str(tmp_path)), r"llama-server.*libllama\.so")


def test_a_tokenizer_with_added_tokens(project: Project) -> None:
    """The run was saved with a token that its base has no weights for; its hashes are those of that."""
    from transformers import AutoTokenizer

    folder = project.runs / "R-001"
    tokenizer = AutoTokenizer.from_pretrained(str(folder / "adapter"))
    tokenizer.add_tokens(["<|house|>"], special_tokens=True)
    tokenizer.save_pretrained(str(folder / "adapter"))
    run = read_run(folder)
    write_run(folder, run, files={name: sha256_file(folder / "adapter" / name) for name in run.files})
    judged(project, right=30)
    with pytest.raises(Refusal, match=r"49,153.*49,152"):
        let(project, "merged")
    assert current_release(project) is None and not [path for path in project.releases.iterdir() if path.is_dir()]


def test_a_file_that_changes_between_its_hash_and_its_copy_is_released_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("one")
    made_from = hashes(tmp_path, tmp_path / "report.json")
    copy_chain(tmp_path, tmp_path / "chain", made_from)
    assert (tmp_path / "chain/report.json").read_text() == "one"
    (tmp_path / "report.json").write_text("two")
    with pytest.raises(RungError, match=r"report\.json"):
        copy_chain(tmp_path, tmp_path / "other", made_from)


@pytest.fixture(scope="module")
def released(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with L-001, and L-002 in the place of it."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("released") / "clinic"))
    for _ in range(2):
        done = warm("release", "--to", "prompt", at=root)
        assert done.code == 0, done.err
    return root


def test_a_killed_release_stands_and_is_logged_or_is_none(released: Path, tmp_path: Path) -> None:
    """Killed at every second moment from the last one on backwards."""
    command, late = ("release", "--to", "prompt"), 0
    events = warm(*command, at=Path(shutil.copytree(released, tmp_path / "whole" / "clinic"))).events
    for moment in range(events, 0, -2):
        root = Path(shutil.copytree(released, tmp_path / f"at{moment}" / "clinic"))
        assert warm(*command, at=root, kill_at=moment).code == KILLED
        if moment % 3 == 0:
            assert_sound(root)
        again = warm(*command, at=root)
        assert again.code == 0, (moment, again.err)
        project = Project(root)
        names, logged = release_names(project), ever_released(project, load_settings(project.settings_file))
        assert sorted(logged) == names, moment
        late += len(names) == 4
        if len(names) == 3:
            break
    assert late > 3, "the release took its place well before its last moment"


def test_a_release_that_cannot_be_logged_is_none_and_no_name_is_given_again(released: Path, tmp_path: Path) -> None:
    """Something is in the place of the hidden folder: it goes, and nothing behind it."""
    root = Path(shutil.copytree(released, tmp_path / "clinic"))
    done = warm("release", "--to", "prompt", at=root, RUNG_STORE__URL="sqlite:////no/such/place.db")
    assert done.code != 0 and sorted(path.name for path in (root / "releases").glob("*L-*")) == ["L-001", "L-002"]
    shutil.rmtree(root / "releases" / "L-002")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (root / "releases" / ".L-003").symlink_to(tmp_path / "kept")
    (root / "releases" / ".L-004").touch()
    assert warm("trust", at=root).code == 0
    done = warm("release", "--to", "prompt", at=root)
    assert done.code == 0, done.err
    assert release_names(Project(root)) == ["L-001", "L-003"]
    assert (tmp_path / "kept" / "file").is_file() and not list((root / "releases").glob(".L-*"))

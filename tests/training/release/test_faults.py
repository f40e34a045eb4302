"""Faults of a release: each one plain message, nothing half-made left, the release before intact."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from lives import gone, wait_until
from released import judged, let

from training.release.gguf import serving
from training.release.releases import current_release, verify
from training.release.releasing import copy_chain, release_untuned
from training.release.tools import CONVERTER, _kept
from training.runs import read_run, write_run
from workspace.artefact import hashes
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings


@pytest.fixture
def before(project: Project, settings: Settings) -> Path:
    """Return the release before the fault."""
    judged(project, settings, right=30)
    return release_untuned(project, settings, by="sam")


def stands(project: Project, before: Path) -> None:
    found = current_release(project)
    assert found is not None and found[0] == before and verify(before).faults == []
    assert [path.name for path in project.releases.iterdir() if path.is_dir()] == [before.name]


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def llama(tmp_path: Path, settings: Settings, script: str, **values: object) -> Settings:
    """Settings that name a llama.cpp of ours, whose server is this script."""
    program(tmp_path / "llama" / "llama-server", f"#!/bin/sh\n{script}\n")
    (tmp_path / "llama" / "libllama.so").touch()
    named = settings.release.model_copy(update={"llama_cpp": str(tmp_path / "llama"), **values})
    return settings.model_copy(update={"release": named})


def test_a_full_disk(project: Project, settings: Settings, small_disk: Path) -> None:
    judged(project, settings, right=30)
    project.releases.symlink_to(small_disk)
    before = release_untuned(project, settings, by="sam")
    with pytest.raises(RungError, match=r"L-002.*disk"):
        let(project, settings, "adapter,merged")
    stands(project, before)


def test_a_converter_that_is_killed(
    project: Project, settings: Settings, before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_CACHE_DIR", str(tmp_path / "cache"))
    tool = _kept(CONVERTER, "converter")[0]
    script = (
        "import os, sys; open(sys.argv[sys.argv.index('--outfile') + 1], 'w').write('half'); os.kill(os.getpid(), 9)"
    )
    program(tool / "convert_hf_to_gguf.py", script)
    (tool / "ready").touch()
    with pytest.raises(Refusal, match=r"f32.*SIGKILL"):
        let(project, llama(tmp_path, settings, "exit 0"), "gguf")
    stands(project, before)


def test_a_port_in_use(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        named = llama(tmp_path, settings, "exit 0", port=port)
        with pytest.raises(Refusal, match=str(port)), serving(named, tmp_path / "model.gguf", 512):
            pass


def test_a_server_that_never_gets_ready_is_stopped(settings: Settings, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    named = llama(tmp_path, settings, f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 600", ready_seconds=1)
    with pytest.raises(Refusal), serving(named, tmp_path / "model.gguf", 512):
        pass
    if note.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(note.read_text()), 0)


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


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'error: cannot open model' >&2; exit 3", "3; error: cannot open model"),
        ("kill -ILL $$", "processor"),
        ("kill -KILL $$", "SIGKILL"),
    ],
)
def test_a_server_that_ends_at_once(settings: Settings, tmp_path: Path, script: str, told: str) -> None:
    named = llama(tmp_path, settings, script)
    with pytest.raises(Refusal, match=told), serving(named, tmp_path / "model.gguf", 512):
        pass


def test_a_missing_binary(settings: Settings, tmp_path: Path) -> None:
    release = settings.release.model_copy(update={"llama_cpp": str(tmp_path)})
    named = settings.model_copy(update={"release": release})
    with pytest.raises(Refusal, match=r"llama-server.*libllama\.so"), serving(named, tmp_path / "m", 512):
        pass


def test_a_tokenizer_with_added_tokens(project: Project, settings: Settings, before: Path) -> None:
    """The run was saved with a token that its base has no weights for; its hashes are those of that."""
    from transformers import AutoTokenizer

    folder = project.runs / "R-001"
    tokenizer = AutoTokenizer.from_pretrained(str(folder / "adapter"))
    tokenizer.add_tokens(["<|house|>"], special_tokens=True)
    tokenizer.save_pretrained(str(folder / "adapter"))
    run = read_run(folder)
    write_run(folder, run, files={name: sha256_file(folder / "adapter" / name) for name in run.files})
    judged(project, settings, right=30)
    with pytest.raises(Refusal, match=r"49,153.*49,152"):
        let(project, settings, "merged")
    stands(project, before)


def test_a_file_that_changes_between_its_hash_and_its_copy_is_released_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("one")
    made_from = hashes(tmp_path, tmp_path / "report.json")
    copy_chain(tmp_path, tmp_path / "chain", made_from)
    assert (tmp_path / "chain/report.json").read_text() == "one"
    (tmp_path / "report.json").write_text("two")
    with pytest.raises(RungError, match=r"report\.json"):
        copy_chain(tmp_path, tmp_path / "other", made_from)

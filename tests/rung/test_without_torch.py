"""Where torch is not installed, what stands in the way is said before what is missing."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from workspace.extras import install_command

WITHOUT = """
import importlib.machinery, sys
class Hidden(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "peft", "trl"}:
            return None
        return super().find_spec(name, path, target)
sys.meta_path = [Hidden if each is importlib.machinery.PathFinder else each for each in sys.meta_path]
"""
"""A Python whose path holds no torch: what an installation without the extra is."""
MAIN = "from rung.cli import main; sys.argv[0] = 'rung'; main()"


def ran(folder: Path, *words: str, code: str = MAIN, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **more}
    command = [sys.executable, "-P", "-c", WITHOUT + code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_what_stands_in_the_way_is_said_before_the_missing_extra(tmp_path: Path) -> None:
    (tmp_path / "rung.toml").write_text("")
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "untried"\n')
    assert ran(tmp_path, "advise").returncode == 0
    done = ran(tmp_path, "train")
    assert done.returncode == 1 and "0 of 6" in done.stdout
    assert "extra" not in done.stdout + done.stderr
    done = ran(tmp_path, "plan", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["hint"] == "rung data freeze"


def test_no_weights_are_fetched_that_nothing_could_load(tmp_path: Path) -> None:
    places = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "RUNG_EMBEDDED_WHEEL": str(tmp_path / "none")}
    done = ran(tmp_path, code="from chat.local.load import load; load('embedded')", **places)
    assert '"train"' in done.stderr
    assert not (tmp_path / "cache").exists()


def test_the_demo_says_at_once_what_it_needs_and_its_size(tmp_path: Path) -> None:
    done = ran(tmp_path, "demo")
    assert done.returncode == 2 and '"train"' in done.stderr and "6 GB" in done.stderr
    assert not list(tmp_path.iterdir())


RECEIPT = '[tool]\nrequirements = [{ name = "rung", extras = ["web"], path = "/dist/rung.whl" }]\n'
PIPX = '{"main_package": {"package_or_url": ".[web]"}}'


@pytest.mark.parametrize(
    ("file", "text", "command"),
    [
        ("uv-receipt.toml", RECEIPT, 'uv tool install "rung[train,web]"'),
        ("uv-receipt.toml", '[tool]\nrequirements = [{ name = "rung" }]\n', 'uv tool install "rung[train]"'),
        ("uv-receipt.toml", "not TOML", 'uv tool install "rung[train]"'),
        ("pipx_metadata.json", "{}", 'pipx install --force "rung[train]"'),
        ("pipx_metadata.json", PIPX, 'pipx install --force "rung[train,web]"'),
        ("pyvenv.cfg", "", 'pip install "rung[train]"'),
    ],
)
def test_an_extra_comes_the_way_the_program_came(tmp_path: Path, file: str, text: str, command: str) -> None:
    (tmp_path / file).write_text(text)
    assert install_command("train", tmp_path) == command


GIT = '{"url": "https://git.example/rung.git", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}}'


@pytest.mark.parametrize(
    ("noted", "where"),
    [
        (GIT, " @ git+https://git.example/rung.git@0a1b"),
        (GIT[:-1] + ', "subdirectory": "tool"}', " @ git+https://git.example/rung.git@0a1b#subdirectory=tool"),
        ('{"url": "file:///dist/rung.whl", "archive_info": {}}', " @ file:///dist/rung.whl"),
        ('{"url": "file:///src", "dir_info": {"editable": true}}', ""),
        ("[1]", ""),
        ("{", ""),
    ],
)
def test_an_extra_comes_from_where_the_installation_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: str, where: str
) -> None:
    about = tmp_path / "rung-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rung\nVersion: 0.1.0\n")
    (about / "direct_url.json").write_text(noted)
    monkeypatch.syspath_prepend(tmp_path)
    assert shlex.split(install_command("train", tmp_path)) == ["pip", "install", f"rung[train]{where}"]

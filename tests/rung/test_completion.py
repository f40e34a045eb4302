"""Tab in real shells, after `rung --install-completion` in each of them; those that are not installed are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from sysconfig import get_path

import pytest

ENDS = 90.0


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a new account whose PATH begins with this program."""
    path = f"{get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(tmp_path), "PATH": path, "TERM": "xterm", "LANG": "C.UTF-8"}


@pytest.fixture
def terminal(home: dict[str, str]) -> Iterator[Callable[..., str]]:
    tmux = ["tmux", "-L", f"rung-{uuid.uuid4().hex[:8]}"]  # a server that is ending takes no new session

    def run(*words: str) -> str:
        return subprocess.run([*tmux, *words], env=home, capture_output=True, text=True, check=False).stdout

    yield run
    run("kill-server")


def install(shell: str, home: dict[str, str]) -> None:
    """As a user does in that shell; the word after it keeps the shell itself as the parent."""
    if shutil.which(shell) is None or shutil.which("tmux") is None:
        pytest.skip(f"{shell} or tmux is not installed")
    command = [shell, "-c", "rung --install-completion; true"]
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=False)
    assert f"{shell} completion installed" in done.stdout, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_completes_in_the_shell_itself(shell: str, home: dict[str, str], terminal: Callable[..., str]) -> None:
    install(shell, home)
    terminal("new-session", "-d", "-x", "100", "-y", "30", shell, "-i")
    end = time.monotonic() + ENDS
    while not terminal("capture-pane", "-p").strip() and time.monotonic() < end:
        time.sleep(0.2)
    terminal("send-keys", "rung data imp")
    screen = ""
    while "rung data import" not in screen and time.monotonic() < end:
        terminal("send-keys", "Tab")  # zsh only loads the completion at the first one
        again = time.monotonic() + 2
        while "rung data import" not in screen and time.monotonic() < again:
            time.sleep(0.1)
            screen = terminal("capture-pane", "-p")
    assert "rung data import" in screen


def test_fish_completes(home: dict[str, str]) -> None:
    install("fish", home)
    ask = ["fish", "-c", 'complete -C "rung data imp"; complete -C "rung advise --wh"']
    told = subprocess.run(ask, env=home, capture_output=True, text=True, check=False).stdout
    assert "import\t" in told and "--what-if" in told and "freeze" not in told

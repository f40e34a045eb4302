"""The program in a real terminal: tmux."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import uuid

from lives import PATIENCE


class Terminal:
    """One tmux session on a server of its own."""

    def __init__(self, width=80, height=24):
        self.server = ""
        self.width, self.height = width, height

    def tmux(self, *words):
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        return subprocess.run(
            ["tmux", "-L", self.server, *words], env=clean, capture_output=True, text=True, check=True
        ).stdout

    def start(self, folder, *arguments, term=""):
        """`rung ARGUMENTS` in this folder; `term` is what the program is told of the terminal."""
        self.server = f"rung-{uuid.uuid4().hex[:8]}"  # a server that is ending takes no new session
        told = ["env", "-u", "COLORTERM", f"TERM={term}"] if term else []
        command = shlex.join([*told, sys.executable, "-P", "-m", "rung", *arguments])
        size = ["-x", str(self.width), "-y", str(self.height)]
        environment = ["-e", "LC_ALL=C.UTF-8", "-e", "LANG=C.UTF-8"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "rung", *size, *environment, "-c", str(folder), command)
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *keys):
        for key in keys:
            self.tmux("send-keys", "-t", "rung", key)
            time.sleep(0.1)

    def text(self):
        return self.tmux("capture-pane", "-p", "-t", "rung")

    def see(self, words, seconds=PATIENCE):
        """Wait until these words stand on the screen, or the program has ended; gives the screen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in (shown := self.text()):
                return shown
            if "Pane is dead" in shown:
                break
            time.sleep(0.1)
        raise AssertionError(f"{words!r} did not come:\n{self.text()}")

    def kill(self):
        """kill -9 on the program."""
        os.kill(int(self.tmux("list-panes", "-F", "#{pane_pid}")), signal.SIGKILL)
        self.end()

    def end(self):
        subprocess.run(["tmux", "-L", self.server or "rung-none", "kill-server"], capture_output=True, check=False)

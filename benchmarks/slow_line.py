"""What a key costs over a slow line: bytes that the program sends, and seconds until the last of them is there.

    python benchmarks/slow_line.py FOLDER [--rate 9600] [--latency 0.25] [--size 80x24] KEY...

The program runs in a pty of its own behind a line of so many bytes a second, which holds it back when it is full; a key
reaches it after the latency. Keys are letters and digits, `esc`, `enter`, `f1`, `down`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from dataclasses import dataclass

NAMED = {"esc": b"\x1b", "enter": b"\r", "f1": b"\x1bOP", "down": b"\x1b[B"}
QUIET = 1.5
"""Seconds without a byte after which a key has done its work."""
PATIENCE = 20.0
"""Seconds that the program may take to draw anything."""


@dataclass
class Line:
    """The line from the program: bytes so far, and when the last one came."""

    screen: int
    rate: float
    sent: int = 0
    last: float = 0.0

    def carry(self) -> None:
        """Take what the program sends, no faster than the line is."""
        try:
            while found := os.read(self.screen, max(64, int(self.rate / 20))):
                time.sleep(len(found) / self.rate)
                self.sent += len(found)
                self.last = time.monotonic()
        except OSError:
            return

    def settle(self, since: float) -> None:
        """Wait until something came since then, at most so long, and then nothing more."""
        while self.last < since and time.monotonic() - since < PATIENCE / 4:
            time.sleep(0.02)
        while time.monotonic() - max(self.last, since) < QUIET:
            time.sleep(0.02)


def main() -> None:
    """Press the keys one by one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("keys", nargs="+")
    parser.add_argument("--rate", type=float, default=9_600)
    parser.add_argument("--latency", type=float, default=0.25)
    parser.add_argument("--size", default="80x24")
    asked = parser.parse_args()
    pid, line = begun(asked.folder, asked.rate, *(int(part) for part in asked.size.split("x")))
    print(f"start   {line.sent:>6,} bytes")
    for key in asked.keys:
        before, pressed = line.sent, time.monotonic()
        time.sleep(asked.latency)
        os.write(line.screen, NAMED.get(key, key.encode()))
        line.settle(time.monotonic())
        took = f"{line.last - pressed:5.2f} s" if line.sent > before else "nothing came"
        print(f"{key:<7} {line.sent - before:>6,} bytes  {took}")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def begun(folder: str, rate: float, width: int, height: int) -> tuple[int, Line]:
    """The program on this folder, once its first screen stands."""
    pid, screen = pty.fork()
    if not pid:
        os.chdir(folder)
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-P", "-m", "rung"])
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    line = Line(screen, rate, last=time.monotonic())
    threading.Thread(target=line.carry, daemon=True).start()
    began = time.monotonic()
    while not line.sent and time.monotonic() - began < PATIENCE:
        time.sleep(0.1)
    time.sleep(QUIET)
    line.settle(time.monotonic())
    return pid, line


if __name__ == "__main__":
    main()

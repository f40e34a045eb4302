"""Does memory stay flat? The terminal program under keys and the review page under reviewers, for as long as asked.

    python benchmarks/soak.py [MINUTES] [--only terminal|page] [--rows N] [--project FOLDER]      (default 60, both)

The program runs in a terminal of its own (a pty): its ten stages in turn, help, the chain behind a row, and decisions
in Review. The page is asked by four reviewers who think for a second between decisions. They have projects of 3,000
and of 20,000 rows; --project takes a copy of a finished one instead, so that every stage has something to show, and
adds the rows to it. Resident memory is read every ten seconds; the slope is the median of the slopes between all pairs
of samples (Theil-Sen) after the first fifth of the time, in which caches fill.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import os
import pty
import re
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.review import Tally, fill, review, row, serve
from curation.review import invite
from curation.store import open_store
from curation.store.tables import decisions
from workspace.folder import Project
from workspace.settings import load_settings

ROWS = {"terminal": 3_000, "page": 20_000}
REVIEWERS = 4
EVERY = 10.0
"""Seconds between two samples."""
THINK = 0.4
"""Seconds between two keys."""
DOWN, F1, ESCAPE = b"\x1b[B", b"\x1bOP", b"\x1b"
LOOK = (DOWN, DOWN, b"k", F1, ESCAPE, b"w", ESCAPE)
DECIDE = (b"a", b"a", b"v", ESCAPE, b"g", ESCAPE, b"s", b"n", b"u", b"x", b"2", b" ", b"o", ESCAPE)


def main() -> None:
    """Run both beside each other and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=float, default=60)
    parser.add_argument("--only", choices=("terminal", "page"))
    parser.add_argument("--rows", type=int, help="rows that wait for review, in each project")
    parser.add_argument("--project", type=Path, help="a copy of this one")
    asked = parser.parse_args()
    minutes = asked.minutes
    room = Path(tempfile.mkdtemp(prefix="rung-soak-"))
    table: dict[str, str] = {}
    try:
        wanted = [run for run in (terminal, page) if asked.only in (None, run.__name__)]
        folders = [project(room / run.__name__, asked.rows, asked.project) for run in wanted]
        end = time.monotonic() + minutes * 60
        runs = [
            threading.Thread(target=run, args=(folder, end, table)) for run, folder in zip(wanted, folders, strict=True)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    finally:
        shutil.rmtree(room, ignore_errors=True)
    print("what      minutes  samples  MiB at first  after a fifth  at the end  most  MiB an hour  did")
    for name in sorted(table):
        print(f"{name:<8}  {minutes:>7.1f}  {table[name]}")


def terminal(folder: Path, end: float, table: dict[str, str]) -> None:
    """`rung` in a pty, a key at a time."""
    pid, screen = pty.fork()
    if not pid:
        os.chdir(folder)
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-P", "-m", "rung"])
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    seen = bytearray()
    threading.Thread(target=drain, args=(screen, seen), daemon=True).start()
    pressed = 0

    def press() -> None:
        nonlocal pressed
        for stage in itertools.cycle(b"1234567890"):
            for key in (bytes([stage]), *(DECIDE if stage == ord("4") else LOOK)):
                if time.monotonic() > end or not lives(pid):
                    return
                os.write(screen, key)
                pressed += 1
                time.sleep(THINK)

    samples = sampled(pid, end, press)
    if not lives(pid):
        table["terminal"] = f"ended after {pressed:,} keys with {os.waitpid(pid, 0)[1]}: {bytes(seen[-6000:])!r}"
        return
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    table["terminal"] = told(samples, f"{pressed:,} keys, {decided(folder):,} decisions")


def lives(pid: int) -> bool:
    """True if the process runs: one that ended has no memory."""
    return "VmRSS" in Path(f"/proc/{pid}/status").read_text()


def drain(screen: int, seen: bytearray) -> None:
    """Read the program's drawing; keep its end, to show why it stopped."""
    try:
        while found := os.read(screen, 65_536):
            seen += found
            del seen[:-20_000]
    except OSError:
        return


def page(folder: Path, end: float, table: dict[str, str]) -> None:
    """`rung review serve`, asked by reviewers who take their time."""
    with open_store(Project(folder), load_settings(folder / "rung.toml")) as store:
        tokens = [invite(store, f"person {n}") for n in range(REVIEWERS)]
    server, port = serve(folder)
    tallies = [Tally() for _ in tokens]
    people = [
        threading.Thread(target=review, args=(port, token, tally, end, 1.0))
        for token, tally in zip(tokens, tallies, strict=True)
    ]

    def work() -> None:
        for person in people:
            person.start()
        for person in people:
            person.join()

    samples = sampled(server.pid, end, work)
    server.send_signal(signal.SIGINT)
    server.wait(30)
    confirmed = sum(len(tally.confirmed) for tally in tallies)
    broken = sum(tally.broken for tally in tallies)
    table["page"] = told(samples, f"{confirmed:,} confirmed, {decided(folder):,} in the log, {broken} broken")


def project(folder: Path, rows: int | None, like: Path | None) -> Path:
    """A project whose rows wait for review."""
    rows = rows or ROWS[folder.name]
    if like is None:
        folder.mkdir()
        fill(folder, rows)
        return folder
    shutil.copytree(like, folder)
    with open_store(Project(folder), load_settings(folder / "rung.toml")) as store:
        store.add([row(number) for number in range(rows)], role="candidates")
    return folder


def decided(folder: Path) -> int:
    """Entries of the log."""
    with open_store(Project(folder), load_settings(folder / "rung.toml")) as store, store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(decisions)).scalar() or 0)


def sampled(pid: int, end: float, work: Callable[[], None]) -> list[tuple[float, float]]:
    """(hours, MiB) of a process while this work is done beside it."""
    began, found = time.monotonic(), []
    worker = threading.Thread(target=work)
    worker.start()
    while time.monotonic() < end and lives(pid):
        found.append(((time.monotonic() - began) / 3600, resident(pid)))
        if len(found) % 6 == 1:
            print(f"{pid}  {found[-1][0] * 60:5.1f} min  {found[-1][1]:7.1f} MiB", file=sys.stderr, flush=True)
        time.sleep(max(0.0, min(EVERY, end - time.monotonic())))
    worker.join()
    return found


def resident(pid: int) -> float:
    """Resident memory of a process in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def told(samples: list[tuple[float, float]], did: str) -> str:
    """The figures of one process as a line."""
    late = samples[len(samples) // 5 :]
    slope = statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(late, 2))
    most = max(memory for _, memory in samples)
    first = f"{len(samples):>7}  {samples[0][1]:>12.1f}  {late[0][1]:>13.1f}"
    return f"{first}  {late[-1][1]:>10.1f}  {most:>4.0f}  {slope:>+11.2f}  {did}"


if __name__ == "__main__":
    main()

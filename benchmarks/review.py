"""N reviewers at once over HTTP, on SQLite and on PostgreSQL: decisions a second, times, memory, and nothing lost.

    python benchmarks/review.py                      # 8 reviewers, 10 seconds, both stores
    python benchmarks/review.py --reviewers 32 --seconds 60 --kill
    python benchmarks/review.py --reviewers 32 --seconds 600 --think 4 --kill

Each reviewer is a process-light client with a connection of its own: it takes the page, approves, takes the next. A
decision is one POST and the page that follows, as in a browser without script. With --kill the server is killed
(SIGKILL) in the middle and started again; with --think each waits so many seconds over a row. Afterwards the log is
counted: every answer that said "written" is there once, with its author.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from sqlalchemy import text

from curation.example import Example, chat_row
from curation.review import invite
from curation.store import Store, open_store
from workspace.folder import Project
from workspace.settings import load_settings

FIELDS = re.compile(r'<input type="hidden" name="(csrf|row|token)" value="([^"]*)">')


@dataclass
class Tally:
    """Record of one reviewer: seconds of each decision, rows that were confirmed, stale forms, broken connections."""

    seconds: list[float] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    stale: int = 0
    broken: int = 0


def main() -> None:
    """Run both stores and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviewers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--think", type=float, default=0)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--store", choices=("sqlite", "postgres", "both"), default="both")
    asked = parser.parse_args()
    print(
        "store       reviewers  decisions/s     p50     p95     p99  CPU ms each  "
        "server MiB  stale  lost  doubled  no author"
    )
    stores = ("sqlite", "postgres") if asked.store == "both" else (asked.store,)
    for store in stores:
        folder = Path(tempfile.mkdtemp(prefix="rung-bench-"))
        folder.chmod(0o755)
        try:
            if store == "postgres":
                with postgres(folder / "server") as url:
                    run(folder, asked, store, url)
            else:
                run(folder, asked, store, "")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, asked: argparse.Namespace, name: str, url: str) -> None:
    """One store: fill it, serve it, let everyone review, count."""
    fill(folder, asked.rows, url)
    project = Project(folder)
    with open_store(project, load_settings(project.settings_file)) as store:
        tokens = [invite(store, f"person {n}") for n in range(asked.reviewers)]
        server, port = serve(folder)
        tallies = [Tally() for _ in tokens]
        end = time.monotonic() + asked.seconds
        people = [
            threading.Thread(target=review, args=(port, token, tally, end, asked.think))
            for token, tally in zip(tokens, tallies, strict=True)
        ]
        began = time.monotonic()
        for person in people:
            person.start()
        if asked.kill:
            time.sleep(asked.seconds / 2)
            server.send_signal(signal.SIGKILL)
            server.wait()
            server, _ = serve(folder, port)
        for person in people:
            person.join()
        took = time.monotonic() - began
        memory, cpu = peak(server.pid), cpu_seconds(server.pid)
        server.send_signal(signal.SIGINT)
        server.wait(30)
        report(name, asked.reviewers, tallies, took, memory, cpu, store)


def fill(folder: Path, rows: int, url: str = "") -> None:
    """Settings, a guideline and rows that wait."""
    (folder / "rung.toml").write_text(f'[store]\nurl = "{url}"\n' if url else "")
    (folder / "guideline.md").write_text("# Guideline\n\n" + "A paragraph of the guideline.\n\n" * 40)
    project = Project(folder)
    with open_store(project, load_settings(project.settings_file)) as store:
        store.add([row(number) for number in range(rows)], role="candidates")


def row(number: int) -> Example:
    words = " ".join(f"w{number}x{k}" for k in range(20))
    return Example(chat_row(f"Question {words}?", f"answer {number}"))


def serve(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """`rung review serve` as its own process; returns it with the port."""
    command = [sys.executable, "-m", "rung", "review", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    first = server.stdout.readline()
    return server, urlsplit(first.split()[2]).port or 0


def review(port: int, token: str, tally: Tally, end: float, think: float = 0) -> None:
    """One reviewer at work until the time is over, `think` seconds a row; a broken connection is opened again."""
    connection, cookie, page = http.client.HTTPConnection("127.0.0.1", port, timeout=60), "", ""
    while time.monotonic() < end:
        try:
            if not cookie:
                _, headers, _ = ask(connection, "GET", f"/enter/{token}", "")
                cookie = headers["set-cookie"].split(";")[0]
            if not page:
                _, _, page = ask(connection, "GET", "/", cookie)
            time.sleep(think)
            fields = dict(FIELDS.findall(page))
            began = time.perf_counter()
            page = ""
            body = urlencode({**fields, "verdict": "approve"})
            status, _, _ = ask(connection, "POST", "/decide", cookie, body)
            if status == 303:
                tally.confirmed.append(fields["row"])
                _, _, page = ask(connection, "GET", "/", cookie)
                tally.seconds.append(time.perf_counter() - began)
            elif status == 409:
                tally.stale += 1
            else:
                raise RuntimeError(f"status {status}")
        except (OSError, http.client.HTTPException):
            tally.broken += 1
            connection.close()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            time.sleep(0.1)


def ask(connection: http.client.HTTPConnection, method: str, path: str, cookie: str, body: str | None = None):
    headers = {"Cookie": cookie} if cookie else {}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def peak(pid: int) -> float:
    """Peak resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else float("nan")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its start (about a second) included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(
    name: str, reviewers: int, tallies: list[Tally], took: float, memory: float, cpu: float, store: Store
) -> None:
    """Count the log against what reviewers were told, and print the line."""
    with store.read() as connection:
        log = connection.execute(text("SELECT row_id, reviewer_id FROM decisions")).fetchall()
    written = Counter(f"r-{entry.row_id:06d}" for entry in log)
    confirmed = [row for tally in tallies for row in tally.confirmed]
    lost = sum(row not in written for row in confirmed)
    doubled = sum(count > 1 for count in written.values())
    nobody = sum(not entry.reviewer_id for entry in log)
    seconds = sorted(second for tally in tallies for second in tally.seconds)
    p50, p95, p99 = (statistics.quantiles(seconds, n=100)[at] * 1000 for at in (49, 94, 98))
    stale = sum(tally.stale for tally in tallies)
    print(
        f"{name:<10}  {reviewers:>9}  {len(confirmed) / took:>11.0f}  {p50:>4.0f} ms {p95:>4.0f} ms {p99:>4.0f} ms"
        f"  {cpu / len(confirmed) * 1000:>11.1f}  {memory:>10.0f}  {stale:>5}  {lost:>4}  {doubled:>7}  {nobody:>9}"
    )


class postgres:
    """A PostgreSQL server of its own on loopback, gone at the end; the URL of an empty database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> str:
        import getpass
        import pwd
        import socket

        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            sys.exit("PostgreSQL is not installed; --store sqlite runs without it.")
        binaries, user = found[-1].parent, "postgres" if os.geteuid() == 0 else getpass.getuser()
        self.folder.mkdir()
        if os.geteuid() == 0:
            os.chown(self.folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        more = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        more |= {"user": user} if os.geteuid() == 0 else {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        data = str(self.folder / "data")
        subprocess.run([str(binaries / "initdb"), "-D", data, "-U", "rung", "-A", "trust"], check=True, **more)
        flags = ["-D", data, "-p", port, "-h", "127.0.0.1", "-k", str(self.folder)]
        self.server = subprocess.Popen([str(binaries / "postgres"), *flags], **more)
        ready = [str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", port]
        while subprocess.run(ready, stdout=subprocess.DEVNULL).returncode:
            time.sleep(0.1)
        subprocess.run([str(binaries / "createdb"), "-h", "127.0.0.1", "-p", port, "-U", "rung", "bench"], check=True)
        return f"postgresql://rung@127.0.0.1:{port}/bench"

    def __exit__(self, *_: object) -> None:
        self.server.send_signal(signal.SIGINT)
        self.server.wait(60)


if __name__ == "__main__":
    main()

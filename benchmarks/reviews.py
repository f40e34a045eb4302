"""A hundred thousand reviews, on SQLite and on PostgreSQL: what a decision costs at the start, on the way, at the end.

    python -P -m benchmarks.reviews [N] [--store sqlite|postgres]      (default 100,000, both)

N rows are decided in ten parts. Of each part 15% are decided one after the other with the functions that shell,
terminal and page use (fetch, decide; one edit in ten), the rest in one transaction, as a sheet that came back. Of the
last part a half is decided over HTTP by eight reviewers at once, through `rung review serve`. Every decision must then
be in the log once, with its author, and the commands that look at them all are timed.

"CPU ms" is of one decision and of the fetch of its row, in this process (PostgreSQL's own is not in it). Seconds are of
the wall, most of them the wait for the disk: a decision is on it before it is confirmed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import text

from benchmarks.load import memory, question, rung
from benchmarks.review import FIELDS, Tally, ask, peak, postgres, serve
from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide, decide_all, invite, next_item, open_desk, progress, undo
from curation.store.records import row_id
from workspace.folder import Project
from workspace.settings import load_settings

PARTS, BY_ONE, READERS = 10, 0.15, 8


def main() -> None:
    """One store after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    parser.add_argument("--store", choices=("sqlite", "postgres", "both"), default="both")
    asked = parser.parse_args()
    for store in ("sqlite", "postgres") if asked.store == "both" else (asked.store,):
        room = Path(tempfile.mkdtemp(prefix="rung-reviews-"))
        room.chmod(0o755)
        try:
            with postgres(room / "server") if store == "postgres" else contextlib.nullcontext("") as url:
                load(room / "project", store, url, asked.count)
        finally:
            shutil.rmtree(room, ignore_errors=True)


def load(folder: Path, store: str, url: str, count: int) -> None:
    """All of one store."""
    folder.mkdir()
    (folder / "rung.toml").write_text(f'[store]\nurl = "{url}"\n' if url else "")
    (folder / "guideline.md").write_text("# Guideline\n\n" + "A paragraph of the guideline.\n\n" * 40)
    project = Project(folder)
    desk = open_desk(project, load_settings(project.settings_file))
    rng = random.Random(5)
    for start in range(0, count, 10_000):
        numbers = range(start, min(count, start + 10_000))
        desk.store.add([Example(chat_row(question(rng), f"class {n % 40}")) for n in numbers], role="candidates")
    print(f"{store}, {count:,} rows")
    print(
        f"{'decided before':>14}{'median ms':>11}{'p95 ms':>8}{'most ms':>9}{'CPU ms':>8}{'MiB':>6}   in one: ms each"
    )
    part = count // PARTS
    for number in range(PARTS):
        last = number == PARTS - 1
        line = by_one(desk, int(part * BY_ONE))
        print(
            f"{number * part:>14,}{line}   {in_one(desk, part // 2 if last else part, int(part * BY_ONE)):.1f}",
            flush=True,
        )
    over_http(desk, count)
    looked_at(desk, folder, count)
    desk.store.close()


def by_one(desk: Desk, count: int) -> str:
    """So many rows one after the other: fetch, decide."""
    took, used = [], time.process_time()
    for number in range(count):
        began = time.perf_counter()
        given = next_item(desk, "dana").item
        assert given is not None
        ruling = Ruling("edit", text="class of its own") if number % 10 == 9 else Ruling("approve")
        decide(desk, given.id, given.token, "dana", ruling)
        took.append((time.perf_counter() - began) * 1000)
    cpu = (time.process_time() - used) / count * 1000
    p95 = statistics.quantiles(took, n=20)[-1]
    return f"{statistics.median(took):>11.1f}{p95:>8.1f}{max(took):>9.0f}{cpu:>8.1f}{memory():>6.0f}"


def in_one(desk: Desk, part: int, done: int) -> float:
    """The rest of the part in one transaction; milliseconds each."""
    with desk.store.read() as connection:
        waiting = "SELECT id FROM rows WHERE state = 'pending' ORDER BY id LIMIT :n"
        numbers = connection.execute(text(waiting), {"n": part - done}).scalars().all()
    began = time.perf_counter()
    made = decide_all(desk, "mo", [(row_id(number), Ruling("approve")) for number in numbers], kind="person")
    assert len(made) == len(numbers) == part - done
    return (time.perf_counter() - began) / len(made) * 1000


def over_http(desk: Desk, count: int) -> None:
    """Review the waiting rows at the page until none is left."""
    tokens = [invite(desk.store, f"person {n}") for n in range(READERS)]
    server, port = serve(desk.project.root)
    tallies = [Tally() for _ in tokens]
    began = time.monotonic()
    people = [
        threading.Thread(target=until_empty, args=(port, token, tally))
        for token, tally in zip(tokens, tallies, strict=True)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    took, most = time.monotonic() - began, peak(server.pid)
    server.send_signal(signal.SIGINT)
    server.wait(60)
    seconds = sorted(second * 1000 for tally in tallies for second in tally.seconds)
    confirmed = [row for tally in tallies for row in tally.confirmed]
    cuts = statistics.quantiles(seconds, n=100)
    print(
        f"over HTTP, {READERS} at once: {len(confirmed):,} decisions in {took:.0f} s, median {cuts[49]:.0f} ms, "
        f"p95 {cuts[94]:.0f} ms; server {most:.0f} MiB; {sum(tally.stale for tally in tallies)} stale"
    )
    with desk.store.read() as connection:
        asked = "SELECT count(*), count(DISTINCT row_id), count(reviewer_id) FROM decisions"
        found = tuple(connection.execute(text(asked)).one())
    print(f"in the log: {found[0]:,} decisions on {found[1]:,} rows, {found[2]:,} with an author")
    assert found == (count, count, count), found


def until_empty(port: int, token: str, tally: Tally) -> None:
    """One reviewer: enter by the link, decide what the page gives, until it gives nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    _, headers, _ = ask(connection, "GET", f"/enter/{token}", "")
    cookie = headers["set-cookie"].split(";")[0]
    page = ask(connection, "GET", "/", cookie)[2]
    while (fields := dict(FIELDS.findall(page))).get("token"):
        began = time.perf_counter()
        status = ask(connection, "POST", "/decide", cookie, urlencode({**fields, "verdict": "approve"}))[0]
        assert status in (303, 409), status
        if status == 303:
            tally.confirmed.append(fields["row"])
        else:
            tally.stale += 1
        page = ask(connection, "GET", "/", cookie)[2]
        tally.seconds.append(time.perf_counter() - began)
    connection.close()


def looked_at(desk: Desk, folder: Path, count: int) -> None:
    """Time the reads of all decisions, afterwards."""
    with timed("progress (the function)"):
        assert progress(desk).decided == count
    with timed("undo of the first row, by its reviewer"):
        undo(desk, row_id(1), "dana")
    assert progress(desk).decided == count - 1
    for words in (("review", "status"), ("status",), ("why", row_id(count)), ("doctor",)):
        rung(folder, f"rung {words[0]} {' '.join(words[1:])}", *words, codes=(0, 1))


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long it took."""
    began = time.monotonic()
    yield
    print(f"{what:<44}{time.monotonic() - began:>9.2f}{'':>9}{memory():>8.0f}", flush=True)


if __name__ == "__main__":
    main()

"""A million rows through the program: seconds, memory, and counts that must agree.

    python -P benchmarks/load.py [N]           (default 1,000,000)

A pool of N lines in which one in a hundred is broken, one in twenty is a copy and one in twenty a light edit of
another row, beside a test set of 2,000 rows of which 100 stand in the pool. It is imported, checked and deduplicated by
the commands, each a process of its own, and then browsed in the terminal program: the findings, the filter, the
evidence page by page and to its end, and decisions in Review. What was planted must be found.

Seconds are of the wall; memory is the most that a process had resident at once (ru_maxrss, VmHWM).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS, LEAKS, LABELS = 2_000, 100, 40
EVERY_BROKEN, EVERY_TWIN = 100, 20
VOCABULARY = [a + b + c for a in ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te")
              for b in ("ban", "del", "fir", "gol", "kum", "lap", "mer", "nis", "por", "rus", "sat", "ten")
              for c in ("", "a", "o", "ing", "er", "s")]  # fmt: skip


def main() -> None:
    """Make the rows, and do all with them; or only browse in the project of an earlier run (`--browse FOLDER`)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--browse", type=Path)
    asked = parser.parse_args()
    if asked.browse:
        asyncio.run(browse(asked.browse))
        return
    room = Path(tempfile.mkdtemp(prefix="rung-load-"))
    try:
        load_rows(room, asked.count)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def load_rows(room: Path, count: int) -> None:
    """Import, check, dedup, browse."""
    planted = write_corpus(room, count)
    size = (room / "pool.jsonl").stat().st_size / 1e6
    print(f"{count:,} lines, {size:,.0f} MB; planted: {planted}")
    print(f"{'what':<44}{'seconds':>9}{'CPU s':>9}{'MiB':>8}  found")
    folder = room / "project"
    rung(room, "init", "init", str(folder), show=False)
    said = rung(folder, "import of the pool", "data", "import", "../pool.jsonl", "--rejects", "../odd.jsonl")
    rejected = len((room / "odd.jsonl").read_text().splitlines())
    assert rejected == planted["broken"], (rejected, said)
    rung(folder, "import of the test set", "data", "import", "../test.jsonl", "--as", "test")
    shown = json.loads(rung(folder, "check, every one, with leaks", "data", "check", "--json", codes=(0, 1)))
    print(f"{'':<72}{ {f['name']: f['rows'] for f in shown['findings']} }")
    words = ("data", "dedup", "../pool.jsonl", "-o", "../kept.jsonl", "--rejects", "../odd2.jsonl", "--json")
    report = json.loads(rung(folder, "dedup of the file", *words))
    print(f"{'':<72}{ {k: report[k] for k in ('read', 'kept', 'exact', 'near')} }")
    assert report["exact"] + report["near"] == planted["copies"] + planted["edits"], report
    rung(folder, "status", "status")
    subprocess.run([sys.executable, "-P", __file__, "--browse", str(folder)], check=True)


def write_corpus(room: Path, count: int) -> dict[str, int]:
    """`pool.jsonl` and `test.jsonl`; returns how many of each kind were planted."""
    rng = random.Random(11)
    tests = [question(rng) for _ in range(TESTS)]
    (room / "test.jsonl").write_text("".join(line(text, rng.randrange(LABELS)) for text in tests))
    planted = {"broken": 0, "copies": 0, "edits": 0, "leaks": LEAKS}
    leaks, before = dict(zip(rng.sample(range(count), LEAKS), tests[:LEAKS], strict=True)), ("", 0)
    with (room / "pool.jsonl").open("w") as file:
        for number in range(count):
            if number in leaks:
                file.write(line(leaks[number], 0))
                continue
            if number % EVERY_BROKEN == 7:
                planted["broken"] += 1
                file.write(line("a line that was cut", 1)[:40] + "\n")
                continue
            text, label = question(rng), rng.randrange(LABELS)
            if before[0] and number % EVERY_TWIN == 2:
                planted["copies"] += 1
                text, label = before
            elif before[0] and number % EVERY_TWIN == 12:
                planted["edits"] += 1
                text, label = before[0] + " please", before[1]
            file.write(line(text, label))
            before = text, label
    return planted


def question(rng: random.Random) -> str:
    return " ".join(rng.choices(VOCABULARY, k=rng.randrange(40, 70))) + "?"


def line(text: str, label: int) -> str:
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": f"class {VOCABULARY[label]}"}]
    return json.dumps({"messages": turns}) + "\n"


def rung(folder: Path, what: str, *words: str, codes: tuple[int, ...] = (0,), show: bool = True) -> str:
    """A command as a process of its own; prints what it took and returns what it said."""
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "rung", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    said = process.stdout.read()
    status, most = os.wait4(process.pid, 0)[1:]
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in codes, (words, process.returncode, said)
    cpu = most.ru_utime + most.ru_stime
    if show:
        wall = time.monotonic() - began
        last = said.strip().splitlines()[0][:70] if said.strip() and not said.startswith("{") else ""
        print(f"{what:<44}{wall:>9.1f}{cpu:>9.1f}{most.ru_maxrss / 1024:>8.0f}  {last}", flush=True)
    return said


async def browse(folder: Path) -> None:
    """The terminal program on the project: each step until it stands on the screen."""
    from rung.tui.app import RungApp
    from rung.tui.source import ScreenSource

    app = RungApp(ScreenSource.of(folder))
    async with app.run_test(size=(120, 40)) as pilot:

        async def step(what: str, true: Callable[[], Any], *keys: str) -> None:
            began = time.monotonic()
            await pilot.press(*keys)
            while not true():
                await pilot.pause(0.01)
            await pilot.pause()
            print(f"{'  ' + what:<44}{time.monotonic() - began:>9.2f}{'':>9}{memory():>8.0f}", flush=True)

        def on(name: str) -> bool:
            return type(app.screen).__name__ == name

        await step("Start with its stages", lambda: app.status is not None and not app.partial)
        await step("Data: every check again", lambda: on("DataScreen") and app.screen.data is not None, "3")  # type: ignore[attr-defined]
        findings = list(app.screen.lines.keys)  # type: ignore[attr-defined]
        await step("the last finding", lambda: app.screen.marked == findings[-1], *["j"] * len(findings))  # type: ignore[attr-defined]
        await step("filter", lambda: len(app.screen.lines.keys) < len(findings), "slash", *"dup", "enter")  # type: ignore[attr-defined]
        await step("its rows", lambda: on("RowsScreen"), "enter")
        await step("ten pages down", lambda: True, *["pagedown"] * 10)
        await step("to the end", lambda: at_end(app), "end")
        await step("Review: the first row", lambda: item(app) is not None, "escape", "4")
        took = [await decide(app, pilot) for _ in range(20)]
        print(f"{'  a decision and the next row (median, most)':<44}{statistics.median(took):>9.2f}{max(took):>9.2f}")
        await step("the sitting's sum", lambda: getattr(app.screen, "state", "") == "over", "escape")
        await step("Start again", lambda: on("StartScreen"), "escape")
    print(f"{'the terminal program, all of it':<44}{'':>18}{memory():>8.0f}")


def item(app: Any) -> Any:
    screen = app.screen
    return None if getattr(screen, "busy", True) else getattr(screen, "item", None)


def at_end(app: Any) -> bool:
    from textual.containers import VerticalScroll

    scroll = app.screen.query_one(VerticalScroll)
    return bool(scroll.scroll_y >= scroll.max_scroll_y)


async def decide(app: Any, pilot: Any) -> float:
    before, began = item(app).id, time.monotonic()
    await pilot.press("a")
    while item(app) is None or item(app).id == before:
        await pilot.pause(0.005)
    return time.monotonic() - began


def memory() -> float:
    """The most that this process had resident so far, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    main()

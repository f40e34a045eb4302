"""One measurement in a process of its own: live tensors by torch's profiler, or resident memory in a fork."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.memory.session import Session


def child(spec: dict[str, Any], what: str) -> None:
    import torch

    torch.set_num_threads(1)
    if what == "tensors":
        print(json.dumps({"peak": tensors(Session(spec))}))
        return
    Session({**spec, "loop": "trl"})  # imports everything, so that every fork starts from the same state
    for line in sys.stdin:
        print(json.dumps({"peak": forked(json.loads(line))}), flush=True)


def forked(spec: dict[str, Any]) -> int | None:
    """The resident peak of one run in a fork of this process, which has done nothing but import."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(into, str(resident(Session(spec))).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return int(text) if text else None


def tensors(session: Session) -> int:
    """Maximum of live tensor bytes, from the profiler's allocation events in the order of time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        session.go()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def resident(session: Session) -> int:
    """Peak of RssAnon above its value now, sampled every millisecond."""
    start, peak, done = rss_anon(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, rss_anon())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    session.go()
    done.set()
    watcher.join()
    return peak - start


def rss_anon() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) * 1024

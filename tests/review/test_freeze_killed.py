"""A freeze that is killed before any of its file operations (tests/faults/test_killed.py: at a few moments)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from freezing import frozen, rows

AT_OPERATION = """
import json, os, shutil, signal, sys
from pathlib import Path
from curation.split.freeze import freeze
from curation.split.plan import plan_freeze
from curation.split.manifest import load_split, read_manifest
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import Settings

project = Project(Path(sys.argv[1]))
settings = Settings.model_validate({"review": {"pool": "trust"}})
with open_store(project, settings) as store:
    plan_freeze(store, project, settings)

def child(kill_at):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if not event.startswith(("open", "os.", "shutil.")) or str(project.datasets) not in str(arguments):
            return
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    freeze(project, settings)
    os._exit(0)

left, status = [], 9
while os.WIFSIGNALED(status):
    pid = os.fork()
    if not pid:
        child(len(left) + 1)
    status = os.waitpid(pid, 0)[1]
    folders = sorted(project.datasets.glob("v*"))
    left.append([[p.name, sum(len(load_split(p, s)) for s in read_manifest(p).splits)] for p in folders])
    shutil.rmtree(project.datasets, ignore_errors=True)
print(json.dumps(left))
"""


@pytest.mark.slow
def test_killed_before_any_file_operation_it_leaves_nothing_or_everything(make_desk):
    """SIGKILL before the first, the second ... opening, making, renaming, removing below `datasets/`."""
    desk = make_desk(pool="trust")
    desk.store.add(rows(40, 1), role="pool")
    command = [sys.executable, "-X", "fork", "-c", AT_OPERATION, str(desk.project.root)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0 and not ended.stderr, ended.stderr
    left = json.loads(ended.stdout)
    there = left.index([["v001", 40]])
    assert there > 15 and left == [[]] * there + [[["v001", 40]]] * (len(left) - there)
    assert frozen(desk).manifest.version == "v001" and not (desk.project.datasets / ".tmp").exists()
    assert {event.ref for event in desk.store.events(kind="freeze")} == {"v001"}

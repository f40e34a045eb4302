"""One run from its clearance to its adapter, in the process that trains."""

import contextlib
import os
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

from curation.store import open_store
from training.gates.clearance import Admitted, admit, project_of
from training.run.failures import Diverged, sentence
from training.run.processes import together, world
from training.runs import LOCK, RECORD, RunRecord, State, append_metric, read_metrics, write_run
from workspace.artefact import now, read_artefact
from workspace.files import sha256_file
from workspace.lock import writer_lock

ADAPTER = "adapter"
ROOM, ROOM_BYTES = ".room", 1 << 18
"""A file that a run deletes at its end: on a full disk it leaves room for run.json, the log and the database."""


def train(folder: Path) -> int:
    """Train a cleared run, or go on with an interrupted one; returns 0 when it is finished or was stopped and saved.

    Raises Refusal if the clearance does not hold, or another run trains in this project: before any model is
    loaded and anything is written of this run.

    Of several processes the first holds the locks; each asks every gate for itself, and all of them start or none.
    """
    with contextlib.ExitStack() as held:
        here = world()
        if here.leads:
            held.enter_context(writer_lock(project_of(folder)[0].runs / "writer.lock", "Training"))
        admitted = admit(folder)
        held.enter_context(together(folder, here, admitted.plan.recipe.processes))
        if not here.leads:
            return _Run(admitted, leads=False).go()
        held.enter_context(writer_lock(folder / LOCK, folder.name))
        return _Run(admitted).go()


class _Run:
    """State of this process: the clearance, and the record as last written. Only the leader writes."""

    def __init__(self, admitted: Admitted, *, leads: bool = True) -> None:
        self.leads = leads
        self.admitted = admitted
        self.folder = admitted.folder
        self.record = read_artefact(self.folder / RECORD, RunRecord)
        self.seconds_before = self.record.seconds
        self.started = time.monotonic()

    def go(self) -> int:
        """Start, train, end; whatever happens, run.json says how it ended."""
        self.write(state="starting", pid=os.getpid(), started_at=self.record.started_at or now(), ending="")
        self._event("started", pid=os.getpid())
        try:
            if self.leads:  # bytes that the ending may need; random, for some disks store zeros in no room at all
                (self.folder / ROOM).write_bytes(os.urandom(ROOM_BYTES))
            from training.run.session import TrainingSession

            ending = TrainingSession(self).train()
        except Diverged as error:
            return self._end("failed", sentence(error, self.folder), code=1)
        except BaseException as error:
            (self.folder / ROOM).unlink(missing_ok=True)
            traceback.print_exc()
            interrupted: State = "stopped" if "disk full" in sentence(error, self.folder) else "crashed"
            return self._end(interrupted, sentence(error, self.folder), code=1)
        return self._end("stopped" if ending.startswith("stopped") else "finished", ending, code=0)

    def write(self, **changes: Any) -> None:
        """Write run.json with these changes and the time so far; a full disk keeps the old one."""
        if not self.leads:
            return
        seconds = round(self.seconds_before + time.monotonic() - self.started, 2)
        self.record = write_run(self.folder, self.record, seconds=seconds, **changes)

    def keep(self, made: Path) -> None:
        """Move the saved weights to `adapter/` and name their hashes."""
        target = self.folder / ADAPTER
        old = self.folder / f".{ADAPTER}.old"
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        files = {path.name: sha256_file(path) for path in sorted(target.iterdir()) if path.is_file()}
        self.write(adapter=f"{self.folder.name}/{ADAPTER}", files=files)

    def _end(self, state: State, ending: str, *, code: int) -> int:
        (self.folder / ROOM).unlink(missing_ok=True)
        peak = max((line.get("memory_mib") or 0.0 for _, line in read_metrics(self.folder)), default=0.0)
        self.write(state=state, ending=ending, ended_at=now(), pid=None, memory_mib=peak or None)
        self._event(state, ending=ending, step=self.record.step)
        return code

    def note(self, text: str) -> None:
        """Add a remark to metrics.jsonl."""
        if self.leads:
            append_metric(self.folder, {"kind": "note", "text": text})

    def _event(self, kind: str, **detail: Any) -> None:
        if not self.leads:
            return
        with open_store(self.admitted.project, self.admitted.settings) as store:
            store.event(kind, self.record.by, self.folder.name, detail)

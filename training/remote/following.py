"""The process of this machine that follows a run elsewhere: it sends, starts, copies figures, and brings the run home.

It holds the run's lock as a training process would, so whatever reads runs here sees one that trains. Each step can be
done again after a kill: what was sent is not sent twice, and the machine starts a run once.
"""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from curation.store import open_store
from training.gates.clearance import PLAN_COPY, RECEIPT, Clearance, Locked, check_gates, essence, issue, record_of
from training.gates.gate import GateOverride
from training.plan.plans import Plan, read_plan
from training.remote.connection import Box, DiskFull, LineLost, may_leave, open_box, root_there, send
from training.runs import CONTROL, LIVE, LOCK, RECORD, Remote, RunRecord, append_metric, read_metrics, write_run
from workspace.artefact import now, read_artefact, revised
from workspace.errors import Refusal
from workspace.files import is_unchanged, sha256_file, write_text
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.lock import writer_lock
from workspace.settings import Settings
from workspace.trust import claims, untrusted
from workspace.untar import Odd, TooMuch, unpack

SENT = "sent.json"
"""The gates as they were found here, before anything was sent."""
Found = TypeVar("Found")
POLL, SELDOM, LONGEST_WAIT = 1.0, 10.0, 60.0
"""Seconds between two questions: at first, after ten minutes, and at most while the line is lost."""
TAKEN = ("state", "step", "steps", "best_step", "best_loss", "best_score", "ending", "resolved", "memory_mib", "tokens",
         "seconds", "started_at", "ended_at")  # fmt: skip
"""Fields of the record that are the machine's."""


def prepare(
    project: Project,
    settings: Settings,
    plan_file: Path,
    box: Box,
    *,
    overrides: list[GateOverride],
    by: str = "",
    at_most: int = 0,
) -> Path:
    """Check every gate but the machine's, which is asked there, and make the folder of the run; nothing is sent yet.

    Raises Locked if a gate is closed, Refusal where rows may not leave.
    """
    plan = read_plan(plan_file)
    may_leave(project, settings, box)
    gates = check_gates(project, settings, plan, overrides=overrides)
    if not all(gate.opens for gate in gates if gate.name != "machine"):
        raise Locked(gates)
    folder, sent = issue(project, plan_file, plan, gates, receipt=SENT)
    place = box.place
    remote = Remote(
        name=box.name,
        host=place.host,
        root=root_there(project, box),
        at_most=at_most,
        usd_per_hour=place.usd_per_hour,
    )
    record = record_of(project, folder, plan, sent, by or settings.project.person, receipt=SENT)
    record = revised(record, clearance_sha256="", overrides=[*overrides], remote=remote)
    write_run(folder, record)
    return folder


def follow(project: Project, settings: Settings, folder: Path, *, restart: bool) -> int:
    """Follow the run to its end there; returns 0 when it is home, or was stopped and saved.

    A run that is unknown there is sent and started; with `restart` one that was interrupted is started again.
    Raises Refusal if the machine refuses it; then the record is as it was.
    """
    with writer_lock(folder / LOCK, folder.name):
        follower = Follower(project, settings, folder)
        try:
            follower.begin(restart)
        except Refusal as refused:
            if not follower.record.clearance_sha256:  # nothing was started
                state = "stopped" if isinstance(refused, DiskFull) else "failed"
                write_run(folder, follower.record, state=state, ending=refused.message, ended_at=now())
            raise
        return follower.watch()


def unpack_home(tar: Path, into: Path, machine: str) -> None:
    """Unpack the tar of a machine. Raises LineLost if it was cut off, Refusal for one that would be the same again."""
    try:
        unpack(tar, into)
    except (Odd, TooMuch) as error:
        told = f"{machine} sent an archive that is not unpacked: {error}"
        raise Refusal(f"{told}.", "put that right there or make room here, then: rung runs resume") from error
    except Exception as error:  # tar and zlib have each their own
        raise LineLost(f"{machine}: {error}") from error


class Follower:
    """One run, its machine, and the record as last written here."""

    def __init__(self, project: Project, settings: Settings, folder: Path) -> None:
        self.project, self.settings, self.folder = project, settings, folder
        self.record = read_artefact(folder / RECORD, RunRecord)
        assert self.record.remote is not None
        self.remote = self.record.remote
        self.box = open_box(project, settings, self.remote.name)
        inside = self.remote.root.startswith(f"{self.box.place.folder.rstrip('/')}/") and ".." not in self.remote.root
        if self.remote.host != self.box.place.host or not inside:
            said = f"{self.remote.root} on {self.remote.host}, not in [remotes.{self.remote.name}]"
            raise Refusal(f"{self.record.id} trains in {said}.", "Set host and folder in rung.toml as they were.")
        self.place: dict[str, object] = {"root": self.remote.root, "run": self.record.id}
        self.plan: Plan = read_plan(folder / PLAN_COPY)
        self.offset = max((int(line.get("offset", 0)) for _, line in read_metrics(folder)), default=0)
        """The byte of the machine's figures up to which they are here."""

    def begin(self, restart: bool) -> None:
        """Send and start what the machine does not know yet, or shall start again."""
        seen = self._asked("state", offset=self.offset)
        again = restart and not seen.get("alive")
        if seen["record"] is None or again or not self.record.clearance_sha256:
            self._start()

    def watch(self) -> int:
        """Copy what is new until the run ends, then bring it home."""
        since = time.monotonic()
        while True:
            with contextlib.suppress(FileNotFoundError):
                word = (self.folder / CONTROL).read_text().strip()
                try:
                    self._take(self._asked("state", offset=self.offset, word=word))
                except DiskFull as full:
                    append_metric(self.folder, {"kind": "note", "text": f"not asked to {word}: {full.message}"})
                (self.folder / CONTROL).unlink()
            seen = self._asked("state", offset=self.offset)
            ended = self._take(seen)
            if ended == "finished":
                self._patiently(self._fetch)
            if ended:
                self._event(ended)
                return 0 if ended in ("finished", "stopped") else 1
            time.sleep(min(SELDOM, POLL + (time.monotonic() - since) / 60))

    def _start(self) -> None:
        if self._asked("state", offset=self.offset)["record"] is None:
            self._patiently(lambda: send(self.project, self.settings, self.plan, self.box))
        known = {claim.name for claim in claims(self.project.root)} - {c.name for c in untrusted(self.project.root)}
        answer = self._asked(
            "start",
            plan=self.plan.id,
            by=self.record.by,
            overrides=[each.model_dump(mode="json") for each in self.record.overrides],
            trusted=sorted(known),
            at_most=self.remote.at_most,
        )
        if not self.record.clearance_sha256:
            write_text(self.folder / RECEIPT, answer["clearance"])
            self._check_receipt()
            digest = sha256_file(self.folder / RECEIPT)
            overrides = read_artefact(self.folder / RECEIPT, Clearance).overrides
            self._write(clearance_sha256=digest, overrides=overrides, state="starting", started_at=now())
            with open_store(self.project, self.settings) as store:
                for each in self.record.overrides:
                    store.event("override", each.by, self.record.id, each.model_dump(mode="json"))
                store.event("cleared", self.record.by, self.record.id, {"sha256": digest, "on": self.remote.host})
            self._event("started")

    def _check_receipt(self) -> None:
        """Check that the gates there found the same as here (except the machine), for this run and plan."""
        there = read_artefact(self.folder / RECEIPT, Clearance)
        here = read_artefact(self.folder / SENT, Clearance)
        pairs = zip(there.gates, here.gates, strict=True)
        other = [a.name for a, b in pairs if a.name != "machine" and essence(a) != essence(b)]
        same = (there.run, there.plan_sha256) == (here.run, here.plan_sha256)
        if other or not same:
            (self.folder / CONTROL).unlink(missing_ok=True)
            self._asked("state", offset=self.offset, word="stop")
            what = f"gates that differ there: {', '.join(other)}" if other else "its receipt is of another run or plan"
            raise Refusal(f"{self.remote.name}: {what}. The run was stopped.", f"rung remote check {self.remote.name}")

    def _take(self, seen: JsonObject) -> str:
        """Write the figures and the record of an answer; returns how it ended, or nothing while it lives."""
        there = seen["record"]
        usd = self.record.usd(now())
        cost = {} if usd is None else {"usd": round(usd, 4)}
        for offset, line in seen["figures"]:
            append_metric(self.folder, {**line, **cost, "offset": offset})
            self.offset = offset
        if there is None:
            return ""
        state = there["state"]
        if state in LIVE and not seen["alive"]:
            room = f"{seen['disk_free_gb']:.1f} GB of its disk are free"
            state, there["ending"] = "crashed", f"its process on {self.remote.name} ended without a word; {room}"
        changes = {name: there[name] for name in TAKEN} | {"state": state}
        if state == "finished":
            changes["state"] = "running"  # until it is home
        if any(changes[name] != json.loads(self.record.model_dump_json())[name] for name in TAKEN):
            self._write(**changes)
        return "" if state in (*LIVE, "cleared") or seen["figures"] else str(state)

    def _fetch(self) -> None:
        """Bring the run's files here, compare every hash, then write the record: finished."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".home-") as room:
            made = Path(room) / "files"
            made.mkdir()
            with self.box.fetch(**self.place) as (files, stream), (Path(room) / "tar").open("wb") as tar:
                shutil.copyfileobj(stream, tar)
            unpack_home(Path(tar.name), made, self.remote.name)
            wrong = [name for name, digest in files.items() if not is_unchanged(made / name, digest)]
            if wrong or not files:
                raise LineLost(f"{self.remote.name}: {', '.join(wrong) or 'nothing'} arrived.")
            there = read_artefact(made / RECORD, RunRecord)
            self._compare(made, there)
            for name, here in (
                ("adapter", "adapter"),
                ("preflight.json", "preflight.json"),
                ("log.txt", "log-there.txt"),
            ):
                if (made / name).exists():
                    target = self.folder / here
                    shutil.rmtree(target, ignore_errors=True)
                    (made / name).replace(target)
        remote = revised(self.remote, home=True)
        kept = {name: getattr(there, name) for name in (*TAKEN, "adapter", "files")}
        self._write(**kept, remote=remote)

    def _compare(self, made: Path, there: RunRecord) -> None:
        """Check that the result is of this plan and receipt, and that the weights are those that the run saved."""
        same = {
            PLAN_COPY: sha256_file(made / PLAN_COPY) == there.plan_sha256 == self.record.plan_sha256,
            RECEIPT: sha256_file(made / RECEIPT) == there.clearance_sha256 == self.record.clearance_sha256,
            **{
                f"adapter/{name}": is_unchanged(made / "adapter" / name, digest) for name, digest in there.files.items()
            },
        }
        wrong = [name for name, right in same.items() if not right]
        if wrong or not there.files:
            told = f"{', '.join(wrong) or 'the adapter'} is not what the run saved on {self.remote.name}"
            self._write(state="failed", ending=told, ended_at=now())
            raise Refusal(f"{self.record.id}: {told}.", "rung train --again")

    def _asked(self, operation: str, **asked: object) -> JsonObject:
        return self._patiently(lambda: self.box.ask(operation, None, **self.place, **asked))

    def _patiently(self, act: Callable[[], Found]) -> Found:
        """Do it, again and again while the line is lost; the first loss is noted."""
        wait = POLL
        while True:
            try:
                return act()
            except LineLost as lost:
                if wait == POLL:
                    append_metric(self.folder, {"kind": "note", "text": f"line lost, trying again: {lost.message}"})
                time.sleep(wait)
                wait = min(LONGEST_WAIT, 2 * wait)

    def _write(self, **changes: object) -> None:
        self.record = write_run(self.folder, self.record, **changes)

    def _event(self, kind: str) -> None:
        with open_store(self.project, self.settings) as store:
            detail = {"on": self.remote.host, "step": self.record.step, "ending": self.record.ending}
            store.event(kind, self.record.by, self.record.id, detail)

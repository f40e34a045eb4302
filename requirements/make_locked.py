"""Writes requirements/locked.txt from pyproject.toml, and the locks of the tools for a release: `make lock`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCKED = HERE / "locked.txt"
HEAD = """\
# Exact versions with SHA-256 of everything that the tests install, but torch and what its GPU build brings: which
# build of torch is right depends on the machine. Made by `make lock`; `make check LOCKED=1` installs from it.
"""
LEFT_OUT = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")


def resolve() -> str:
    """Return every requirement of the tests with all its hashes, as pip reads them."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", str(HERE.parent / "pyproject.toml")]
    command += ["--extra", "dev", "--generate-hashes", "--python-version", "3.11", "--no-annotate", "--no-header", "-q"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def without_torch(text: str) -> str:
    """Return the same without the packages that hang on the machine."""
    entries = re.split(r"\n(?=[a-zA-Z])", text.strip())
    return "\n".join(entry for entry in entries if not LEFT_OUT.match(entry)) + "\n"


def lock_tools() -> None:
    """Lock the packages that releasing installs (`training/release/tools.py`), with all their hashes."""
    sys.path.insert(0, str(HERE.parent))
    from training.release.tools import COMPRESSOR, CONVERTER, LLAMA, LOCKS

    tools = {
        "converter": (f"{CONVERTER}\nsentencepiece", ["--no-deps"]),
        "llama": (LLAMA, ["--no-deps"]),
        "compressor": (f"{COMPRESSOR}\ntransformers<=5.17", ["--universal"]),
    }
    for name, (wanted, more) in tools.items():
        command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--generate-hashes", "-q"]
        command += ["--python-version", "3.11", "--no-annotate", "--no-header", *more]
        done = subprocess.run(command, input=wanted, check=True, capture_output=True, text=True)
        (LOCKS / f"{name}.txt").write_text(done.stdout)


if __name__ == "__main__":
    lock_tools()
    LOCKED.write_text(HEAD + without_torch(resolve()))

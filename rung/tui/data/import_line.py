"""The line after `i`: a file; Tab completes its name."""

import os
from collections.abc import Sequence
from pathlib import Path

from curation.rows import Columns

ROLES = {
    "pool": "the freeze divides it into train, validation and test",
    "test": "only measured, never trained on",
    "train": "only trained on",
    "validation": "settings are chosen on it",
    "candidates": "taken only after review",
}
"""Uses of an import, in the order in which `t` cycles through them."""
EXAMPLE = "claims.jsonl, tickets.csv; Tab completes"


def file_of(line: str) -> str:
    """Return the file of a line, without the quotes of a shell and with the home folder written out."""
    file = line.strip()
    if len(file) > 1 and file[0] == file[-1] and file[0] in "'\"":
        file = file[1:-1]
    return str(Path(file).expanduser()) if file.startswith("~/") else file


def arguments(file: str, role: str, columns: Columns) -> list[str]:
    """Return `data import` with its arguments; unreadable lines go to a file beside the project's own."""
    named = [("--question", columns.question), ("--answer", columns.answer)]
    words = [word for option, name in named if name for word in (option, name)]
    return ["data", "import", file, "--as", role, "--rejects", "rejects.jsonl", *words]


def names_like(line: str, folder: Path) -> list[str]:
    """Return the files and folders that the line's name begins, in order; a folder ends in `/`."""
    head, tail = os.path.split(line)
    try:
        return sorted(
            each.name + "/" * each.is_dir()
            for each in (folder / Path(head).expanduser()).iterdir()
            if each.name.startswith(tail) and (tail.startswith(".") or not each.name.startswith("."))
        )
    except OSError:
        return []


def completed(line: str, names: Sequence[str]) -> str:
    """Return the line with its name completed as far as all of `names` agree."""
    if not names:
        return line
    return line.removesuffix(os.path.split(line)[1]) + os.path.commonprefix(names)  # noqa: RUF071 - letters, not folders

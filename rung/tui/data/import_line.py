"""The line after `i`: a file, `as test`, and the command's own options; completed on Tab, corrected after an error."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from curation.rows.names import ANSWERS, QUESTIONS

ROLES = ("pool", "candidates", "train", "validation", "test")
"""What may follow `as`; the pool where nothing is said."""
EXAMPLE = "claims.jsonl, or test.csv as test; Tab completes"
COLUMNS = re.compile(r"cannot tell which column .* Columns: (.*)\.$")


def arguments(line: str) -> list[str]:
    """`rung data import` with its arguments."""
    line, role = _role_of(line.strip())
    file, dash, options = line.partition(" --")
    more = _split(dash.strip() + options)
    rejects = [] if "--rejects" in more else ["--rejects", "rejects.jsonl"]
    return ["data", "import", _bare(file), *([] if "--as" in more else ["--as", role or "pool"]), *rejects, *more]


def completed(line: str, folder: Path) -> str:
    """The line with its file name gone on with, as far as only one way is open."""
    head, tail = os.path.split(line)
    place = folder / Path(head).expanduser()
    try:
        names = sorted(
            each.name + "/" * each.is_dir()
            for each in place.iterdir()
            if each.name.startswith(tail) and (tail.startswith(".") or not each.name.startswith("."))
        )
    except OSError:
        return line
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return line.removesuffix(tail) + "".join(letters[0] for letters in alike) if names else line


def mended(line: str, trouble: Sequence[str]) -> str:
    """Return the line to try next: where the columns are ambiguous, with the options that name them."""
    found = next(filter(None, (COLUMNS.search(said) for said in _joined(trouble))), None)
    if found is None or " --question" in line or " --answer" in line:
        return line
    file, role = _role_of(line)
    names = found[1].split(", ")
    answer = next((name for name in names if name.lower() in ANSWERS), "")
    question = next((name for name in names if name.lower() in QUESTIONS and name != answer), "")
    if len(names) == 2:
        question = question or next(name for name in names if name != answer)
        answer = answer or next(name for name in names if name != question)
    known = [(option, name) for option, name in (("--question", question), ("--answer", answer)) if name]
    blank = [option for option, name in (("--question", question), ("--answer", answer)) if not name]
    said = [file, *(["--as", role] if role else []), *(f"{option} {shlex.quote(name)}" for option, name in known)]
    return " ".join([*said, *blank]) + (" " if blank else "")


def _role_of(line: str) -> tuple[str, str]:
    """The line without ` as ROLE`, and the role."""
    before, _, role = line.rpartition(" as ")
    return (before.strip(), role) if before and role in ROLES else (line, "")


def _split(options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError:
        return options.split()


def _bare(file: str) -> str:
    """Without the quotes of a shell, and with the home folder written out."""
    file = file.strip()
    if len(file) > 1 and file[0] == file[-1] and file[0] in "'\"":
        file = file[1:-1]
    return str(Path(file).expanduser()) if file.startswith("~/") else file


def _joined(trouble: Sequence[str]) -> list[str]:
    """An error may go on over several lines."""
    return [*trouble, " ".join(line.strip() for line in trouble if not line.strip().startswith("->"))]

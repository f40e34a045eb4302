"""The line after `i`: a file, `as test`, and the command's own options; completed on Tab, corrected after an error."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from curation.rows.names import ANSWERS, QUESTIONS

ROLES = ("pool", "candidates", "train", "validation", "test")
"""What may follow `as`; the pool where nothing is said."""
EXAMPLE = "claims.jsonl, or test.csv as test; Tab completes"
OPTIONS = ("--question", "--answer")
NAMING = re.compile(rf"(?:{'|'.join(OPTIONS)}) (\S*)$")
"""An option that names a column, at the end of the line."""
COLUMNS = re.compile(r"cannot tell which column .* Columns: (.*)\.$")


def arguments(line: str) -> list[str]:
    """`rung data import` with its arguments."""
    line, role = _role_of(line.strip())
    file, dash, options = line.partition(" --")
    more = _split(dash.strip() + options)
    rejects = [] if "--rejects" in more else ["--rejects", "rejects.jsonl"]
    return ["data", "import", _bare(file), *([] if "--as" in more else ["--as", role or "pool"]), *rejects, *more]


def completed(line: str, folder: Path, columns: Sequence[str] = ()) -> str:
    """The line with its file name, or the name of a column, gone on with as far as only one way is open."""
    if found := NAMING.search(line):
        tail = found[1]
        return line.removesuffix(tail) + _alike([name for name in columns if name.startswith(tail)] or [tail])
    head, tail = os.path.split(line)
    try:
        names = [
            each.name + "/" * each.is_dir()
            for each in (folder / Path(head).expanduser()).iterdir()
            if each.name.startswith(tail) and (tail.startswith(".") or not each.name.startswith("."))
        ]
    except OSError:
        return line
    return line.removesuffix(tail) + _alike(names or [tail])


def _alike(names: Sequence[str]) -> str:
    """What all of them begin with."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def columns_of(trouble: Sequence[str]) -> tuple[str, ...]:
    """The columns of a file, from the error that asks to name two of them; none from any other error."""
    joined = " ".join(line.strip() for line in trouble if not line.strip().startswith("->"))
    found = next(filter(None, map(COLUMNS.search, [*trouble, joined])), None)
    return tuple(found[1].split(", ")) if found else ()


def columns_named(arguments: Sequence[str]) -> dict[str, str]:
    """`--question` and `--answer` of an import, where both are named."""
    named = {option: arguments[at + 1] for at, option in enumerate(arguments[:-1]) if option in OPTIONS}
    return named if len(named) == len(OPTIONS) else {}


def mended(line: str, columns: Sequence[str], named: Mapping[str, str]) -> str:
    """Return the line to try next: with the options that name its columns, as in the last import (`named`) where this
    file has those columns too, else by their names.
    """
    if not columns or any(f" {option}" in line for option in OPTIONS):
        return line
    file, role = _role_of(line)
    found = dict(named) if set(named.values()) <= set(columns) else {}
    if not found:
        answer = next((name for name in columns if name.lower() in ANSWERS), "")
        question = next((name for name in columns if name.lower() in QUESTIONS and name != answer), "")
        if len(columns) == 2:
            question = question or next(name for name in columns if name != answer)
            answer = answer or next(name for name in columns if name != question)
        found = dict(zip(OPTIONS, (question, answer), strict=True))
    known = [f"{option} {shlex.quote(name)}" for option, name in found.items() if name]
    blank = [option for option, name in found.items() if not name]
    return " ".join([file, *(["--as", role] if role else []), *known, *blank]) + (" " if blank else "")


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

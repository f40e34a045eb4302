"""docs/first-hour.md is run: every command in it, with its output compared."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "first-hour.md").read_text()
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
MODEL = "<!-- from here on a model answers -->"
CHANGES = (
    (re.compile(r"\d[\d,.]* (s|min|h|an hour)\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "HASH"),
    (re.compile(r"[\d.]+ GiB in this machine"), "MEMORY"),
    (re.compile(r" +"), " "),
)
"""Parts that differ from run to run: durations and rates, hashes, the machine, and the space that pads a column."""


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """(command, its output lines) of all console blocks."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *output = part.splitlines()
            yield command.partition("  #")[0].strip(), output


def told(text: str) -> list[str]:
    for pattern, name in CHANGES:
        text = pattern.sub(name, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def differences(expected: list[str], seen: list[str], beside: list[str]) -> list[str]:
    """Return the lines that page and output do not share, in order; `...` matches any lines.

    Lines of `beside` (what went to stderr: progress, columns found) may stand anywhere in the page, or nowhere.
    """
    at, missing, loose = 0, [], False
    for line in told("\n".join(expected)):
        if line == "...":
            loose = True
        elif line in (seen[at:] if loose else seen[at : at + 1]):
            at, loose = at + seen[at:].index(line) + 1, False
        elif line not in beside:
            missing.append(line)
    if not loose and at < len(seen):
        missing.append(f"the page ends, the output goes on: {seen[at]}")
    return missing


def walk(text: str, folder: Path) -> None:
    """Run all commands of the text one after another, beside the page's files."""
    shutil.copytree(DOCS / "first-hour", folder, dirs_exist_ok=True)
    for command, expected in steps(text):
        words = shlex.split(command)
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        if words[0] == "rung":
            words = [sys.executable, "-P", "-m", *words]
        done = subprocess.run(words, cwd=folder, env=ENV, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), f"$ {command}\n{done.stderr}"
        seen, beside = told(done.stdout), told(done.stderr)
        wrong = differences(expected, seen, beside)
        assert not wrong, f"$ {command}\n{wrong}\nseen:\n" + "\n".join([*seen, *beside])


def test_the_walk_before_any_model(tmp_path: Path) -> None:
    walk(PAGE.partition(MODEL)[0], tmp_path)


@pytest.mark.slow
def test_the_whole_walk(tmp_path: Path) -> None:
    walk(PAGE, tmp_path)

"""Files that lines are appended to: half a line is never joined with the next, damage is named, writers do not mix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workspace.errors import InputError
from workspace.files import append_lines, is_cut, read_lines

WRITER = """
import sys
from pathlib import Path
from workspace.files import append_lines
for n in range(200):
    append_lines(Path(sys.argv[1]), [{"who": sys.argv[2], "n": n, "text": "x" * 5000}])
"""


def numbers(path: Path) -> list[int]:
    return read_lines(path, lambda row: int(row["n"]), "number")


def test_half_a_line_is_passed_over_and_the_next_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    assert numbers(path) == [] and not is_cut(path)
    append_lines(path, [{"n": 1}, {"n": 2}])
    whole = path.read_bytes()
    for cut in range(1, len(b'{"n": 2}\n')):
        path.write_bytes(whole[:-cut])
        assert numbers(path) == [1] and is_cut(path)
        append_lines(path, [{"n": 3}])
        assert numbers(path) == [1, 3] and not is_cut(path)
    path.write_bytes(whole[:5])
    assert numbers(path) == [] and is_cut(path)
    append_lines(path, [{"n": 1}, {"n": 2}])
    assert path.read_bytes() == whole


def test_damage_is_named_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    path.write_bytes(b'{"n": 1}\n\x00\x00\n[]\n{"m": 2}\n{"n": 5}\n')
    with pytest.raises(InputError) as error:
        numbers(path)
    assert [problem.where for problem in error.value.problems] == [f"said.jsonl line {n}" for n in (2, 3, 4)]


def test_two_programs_that_write_at_once_mix_no_line(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    rows = read_lines(path, dict, "row")
    assert [row["n"] for row in rows if row["who"] == "a"] == list(range(200)) and len(rows) == 400

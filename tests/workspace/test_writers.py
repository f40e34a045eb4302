"""Several writers: one at a time where a lock is, and its holder is named; lines that many append stay whole."""

import fcntl
import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from workspace.errors import InputError, Refusal
from workspace.files import append_lines, is_cut, read_lines
from workspace.lock import lock_owner, writer_lock


def take(lock: Path) -> str:
    """Take a lock and let it go; the refusal's message if somebody holds it."""
    try:
        with writer_lock(lock, "A freeze"):
            return ""
    except Refusal as refused:
        return refused.message


def second(pool: ThreadPoolExecutor, lock: Path) -> Future[str]:
    """Somebody who takes it meanwhile, and waits."""
    taking = pool.submit(take, lock)
    with pytest.raises(TimeoutError):
        taking.result(0.1)
    return taking


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / ".lock"
    for _ in range(2):
        with writer_lock(lock, "A freeze"):
            assert str(os.getpid()) in take(lock)
        assert lock.read_text() == ""
        lock.write_text('{"pid": 4194304, "since": "yesterday"}')  # as a killed one leaves it


@pytest.mark.parametrize("before", ["", '{"pid": 4194304, "since": "yesterday"}'])
def test_two_that_start_at_once_wait_for_the_name_of_the_first(tmp_path: Path, before: str) -> None:
    """The first holds the lock and has not written its name yet; what a killed process left there is nobody's."""
    lock = tmp_path / ".lock"
    lock.write_text(before)
    with ThreadPoolExecutor() as pool, lock.open("a+") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        taking = second(pool, lock)
        first.truncate(0)
        first.write(json.dumps({"pid": os.getpid(), "since": "now"}))
        first.flush()
        assert str(os.getpid()) in taking.result()


def test_a_lock_that_is_let_go_meanwhile_is_taken(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        with (tmp_path / ".lock").open("a+") as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            taking = second(pool, tmp_path / ".lock")
        assert taking.result() == ""


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", '{"pid": 1}', "{nope", '{"pid": "1", "since": 3}'])
def test_a_lock_that_does_not_say_who_holds_it_is_no_fault(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.lock.PATIENCE", 0.05)
    lock = tmp_path / ".lock"
    lock.write_text(content)
    assert lock_owner(lock) is None
    with lock.open("a+") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        assert take(lock)


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

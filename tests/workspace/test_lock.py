"""One writer at a time; who holds the lock is named."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from workspace.errors import Refusal
from workspace.lock import lock_owner, writer_lock


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / ".lock"
    for _ in range(2):
        with writer_lock(lock, "A freeze"), pytest.raises(Refusal, match=str(os.getpid())), writer_lock(lock, "x"):
            pass
        assert lock.read_text() == ""


@pytest.mark.parametrize("before", ["", '{"pid": 4194304, "since": "yesterday"}'])
def test_two_that_start_at_once_wait_for_the_name_of_the_first(tmp_path: Path, before: str) -> None:
    """The first holds the lock and has not written its name yet; what a killed process left there is nobody's."""
    lock, said = tmp_path / ".lock", []
    lock.write_text(before)

    def second() -> None:
        with pytest.raises(Refusal) as refused, writer_lock(lock, "A freeze"):
            pass
        said.append(str(os.getpid()) in refused.value.message)

    with lock.open("a+") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        other = threading.Thread(target=second)
        other.start()
        other.join(0.1)
        first.truncate(0)
        first.write(json.dumps({"pid": os.getpid(), "since": "now"}))
        first.flush()
        other.join()
    assert said == [True]


def test_a_lock_that_is_let_go_meanwhile_is_taken(tmp_path: Path) -> None:
    lock, held = tmp_path / ".lock", threading.Event()

    def second() -> None:
        with writer_lock(lock, "A freeze"):
            held.set()

    with lock.open("a+") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        other = threading.Thread(target=second)
        other.start()
        other.join(0.1)
    other.join()
    assert held.is_set()


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
        with pytest.raises(Refusal), writer_lock(lock, "A freeze"):
            pass

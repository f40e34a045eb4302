"""One writer at a time; who holds the lock is named, where that can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from workspace.errors import Refusal
from workspace.lock import lock_owner, writer_lock


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / ".lock"
    said = r"^A freeze is already running here \(process \d+ since "
    with writer_lock(lock, "A freeze"), pytest.raises(Refusal, match=said), writer_lock(lock, "A freeze"):
        pass
    with writer_lock(lock, "A freeze"):
        assert lock_owner(lock).startswith("process ")


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", '{"pid": 1}', "{nope"])
def test_a_lock_that_does_not_say_who_holds_it_is_no_fault(tmp_path: Path, content: str) -> None:
    lock = tmp_path / ".lock"
    lock.write_text(content)
    assert lock_owner(lock) == "owner unknown"

"""A release's chain holds what was hashed."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.release.releasing import copy_chain
from workspace.artefact import hashes
from workspace.errors import RungError


def test_a_file_that_changes_between_its_hash_and_its_copy_is_released_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("one")
    made_from = hashes(tmp_path, tmp_path / "report.json")
    copy_chain(tmp_path, tmp_path / "chain", made_from)
    assert (tmp_path / "chain/report.json").read_text() == "one"
    (tmp_path / "report.json").write_text("two")
    with pytest.raises(RungError, match=r"report\.json changed while the release was made"):
        copy_chain(tmp_path, tmp_path / "other", made_from)

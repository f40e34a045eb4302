"""What stands in a release's chain is what was hashed, and a tar that holds too much is not unpacked to see."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from training.release.releases import verify_any
from training.release.releasing import copy_chain
from workspace import untar
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


def test_a_tar_that_would_fill_the_disk_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untar, "SPARE", 1 << 20)
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("L-001/adapter/weights")
        member.size = 8 << 20
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(RungError, match="unpacks to more than"):
        verify_any(tmp_path / "bomb.tar.gz")

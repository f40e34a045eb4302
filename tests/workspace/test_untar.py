"""A tar of somebody else's is unpacked only as far as disk and memory allow."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.remote.box import FULL
from workspace import untar
from workspace.untar import TooMuch, unpack


def packed(path: Path, *files: tuple[str, bytes], how: str = "w:gz") -> Path:
    with tarfile.open(path, how) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "into"
    folder.mkdir()
    yield folder


@pytest.mark.parametrize(("packed_mode", "mode"), [(0o4777, 0o755), (0o755, 0o755), (0o644, 0o644), (0, 0o600)])
def test_a_file_comes_out_that_its_owner_alone_can_write(
    packed_mode: int, mode: int, tmp_path: Path, into: Path
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("one")
        member.mode = packed_mode
        tar.addfile(member)
    before = os.umask(0)
    try:
        unpack(tmp_path / "a.tar", into)
    finally:
        os.umask(before)
    assert stat.S_IMODE((into / "one").stat().st_mode) == mode


@pytest.mark.parametrize("how", ["w", "w:gz"])
def test_what_is_packed_comes_out(how: str, tmp_path: Path, into: Path) -> None:
    long = "d/" * 60 + "name"
    unpack(packed(tmp_path / "a.tar", ("a/b.txt", b"one"), (long, b"two" * 9000), how=how), into)
    assert (into / "a/b.txt").read_bytes() == b"one" and (into / long).read_bytes() == b"two" * 9000


def test_zeros_of_a_size_that_no_tar_of_ours_has_are_not_written(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untar, "SPARE", 1 << 20)
    bomb = packed(tmp_path / "bomb.tar.gz", ("zeros", bytes(8 << 20)))
    with pytest.raises(TooMuch, match="200 times"):
        unpack(bomb, into)
    assert sum(each.stat().st_size for each in into.rglob("*")) < 4 << 20


def test_a_file_that_says_it_is_larger_than_the_disk_is_refused_at_once(tmp_path: Path, into: Path) -> None:
    member = tarfile.TarInfo("huge")
    member.size = 1 << 60
    (tmp_path / "huge.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    with pytest.raises(TooMuch) as refused:
        unpack(tmp_path / "huge.tar", into)
    assert not any(words in str(refused.value) for words in FULL), "a machine that trains would call its disk full"
    assert not list(into.iterdir())


def test_a_header_is_not_read_into_memory_whatever_its_size(tmp_path: Path, into: Path) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.XHDTYPE, 20 << 20
    (tmp_path / "long.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(20 << 20), 1))
    tracemalloc.start()
    with pytest.raises(TooMuch, match="20,971,520"):
        unpack(tmp_path / "long.tar.gz", into)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_room_is_left_on_the_disk(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untar, "SPARE", 2 * shutil.disk_usage(into).free)
    with pytest.raises(TooMuch, match="room"):
        unpack(packed(tmp_path / "a.tar", ("one", b"x")), into)


def test_very_many_files_are_refused(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untar, "MOST_MEMBERS", 9)
    unpack(packed(tmp_path / "most.tar", *((f"f{n}", b"") for n in range(9))), into)
    assert len(list(into.iterdir())) == 9
    with pytest.raises(TooMuch, match="9 files"):
        unpack(packed(tmp_path / "many.tar", *((f"f{n}", b"") for n in range(10))), into)


def test_the_longest_name_and_path_that_a_system_takes_come_out(tmp_path: Path, into: Path) -> None:
    deep = untar.PATH_MAX - 1 - len(str(into)) - 1  # the end of the string, and the slash before the path
    name = "n" * untar.NAME_MAX
    path = f"{name}/" * (deep // 256)
    path += "p" * (deep - len(path))
    unpack(packed(tmp_path / "a.tar", (name + "/x", b""), (path, b"far")), into)
    assert (into / path).read_bytes() == b"far"
    for number, odd in enumerate((path + "p", "n" + name)):
        with pytest.raises(tarfile.TarError, match="too long"):
            unpack(packed(tmp_path / f"odd{number}.tar", (odd, b"")), tmp_path / "into")

"""A tar of somebody else writes nothing outside its folder, nothing if it is odd, and fills neither disk nor memory."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from training.remote.box import FULL
from workspace import untar
from workspace.untar import Odd, TooMuch, unpack

LONG = "d" * 247
STEPS = "abcdefghijklmnop"


def member(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    data: bytes = b"x",
    mode: int = 0o644,
) -> None:
    about = tarfile.TarInfo(name)
    about.type, about.linkname, about.mode = kind, link, mode
    about.size = len(data) if kind == tarfile.REGTYPE else 0
    tar.addfile(about, io.BytesIO(data))


def packed(path: Path, *files: tuple[str, bytes], how: str = "w:gz") -> Path:
    with tarfile.open(path, how) as tar:
        for name, data in files:
            member(tar, name, data=data)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "b" / "into"
    folder.mkdir(parents=True)
    return folder


def past_path_max(tar: tarfile.TarFile) -> None:
    """CVE-2025-4517: a path longer than PATH_MAX is no longer resolved, so tarfile's own check sees no escape."""
    path = ""
    for step in STEPS:
        member(tar, path + LONG, tarfile.DIRTYPE)
        member(tar, path + step, tarfile.SYMTYPE, LONG)
        path += LONG + "/"
    far = "/".join(STEPS) + "/" + "l" * 254
    member(tar, far, tarfile.SYMTYPE, "../" * len(STEPS))
    member(tar, "escape", tarfile.SYMTYPE, far + "/../../..")
    member(tar, "escape/PWNED.txt")


def through_a_link(tar: tarfile.TarFile) -> None:
    member(tar, "out", tarfile.SYMTYPE, "..")
    member(tar, "out/PWNED.txt")


ODD: dict[str, Callable[[tarfile.TarFile], None]] = {
    "past PATH_MAX": past_path_max,
    "through a link": through_a_link,
    "a link that stays inside": lambda tar: member(tar, "a", tarfile.SYMTYPE, "first.txt"),
    "a hard link": lambda tar: member(tar, "a", tarfile.LNKTYPE, "first.txt"),
    "a device": lambda tar: member(tar, "a", tarfile.CHRTYPE),
    "a pipe": lambda tar: member(tar, "a", tarfile.FIFOTYPE),
    "upwards": lambda tar: member(tar, "../PWNED.txt"),
    "down and up": lambda tar: member(tar, "a/../../PWNED.txt"),
    "absolute": lambda tar: member(tar, "/tmp/rung-PWNED.txt"),
    "a name twice": lambda tar: member(tar, "first.txt", data=b"second"),
    "a name twice, spelt otherwise": lambda tar: member(tar, ".//first.txt", data=b"second"),
    "a file as a folder": lambda tar: member(tar, "first.txt/below"),
    "the folder itself": lambda tar: member(tar, "."),
    "a name too long": lambda tar: member(tar, "n" * 256),
    "a path too long": lambda tar: member(tar, "long-name/" * 410),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_member_is_refused_before_a_byte_is_written(name: str, tmp_path: Path, into: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member(tar, "first.txt")
        ODD[name](tar)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Odd):
        unpack(tmp_path / "evil.tar", into)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("packed_mode", "mode"), [(0o4777, 0o755), (0o755, 0o755), (0o644, 0o644), (0, 0o600)])
def test_a_file_comes_out_that_its_owner_alone_can_write(
    packed_mode: int, mode: int, tmp_path: Path, into: Path
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member(tar, "one", mode=packed_mode)
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
    huge = tarfile.TarInfo("huge")
    huge.size = 1 << 60
    (tmp_path / "huge.tar").write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
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
            unpack(packed(tmp_path / f"odd{number}.tar", (odd, b"")), into)

"""A tar from somebody else writes nothing outside its folder, and nothing at all if it is odd."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from workspace.untar import Odd, unpack

LONG = "d" * 247
STEPS = "abcdefghijklmnop"


def member(tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"x") -> None:
    about = tarfile.TarInfo(name)
    about.type, about.linkname = kind, link
    about.size = len(data) if kind == tarfile.REGTYPE else 0
    tar.addfile(about, io.BytesIO(data) if kind == tarfile.REGTYPE else None)


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


def evil(file: Path, name: str) -> Path:
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        member(tar, "first.txt")
        ODD[name](tar)
    return file


@pytest.mark.parametrize("name", ODD)
def test_an_odd_member_is_refused_before_a_byte_is_written(name: str, tmp_path: Path) -> None:
    into = tmp_path / "a" / "b" / "into"
    into.mkdir(parents=True)
    evil(tmp_path / "evil.tar", name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Odd):
        unpack(tmp_path / "evil.tar", into)
    assert sorted(tmp_path.rglob("*")) == before

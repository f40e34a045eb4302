"""Unpacking a tar that somebody else made, without letting it fill the disk or the memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import IO, Self

MOST_TIMES = 200
"""Bytes that may come out of one byte of the file, beyond SPARE: JSON lines pack 5 to 50 times, zeros 1,000 times."""
SPARE = 256 << 20
"""Bytes that may come out of any file, and that are left free on the disk."""
MOST_MEMBERS = 200_000
LONGEST_HEADER = 1 << 20
"""Bytes of a member's extended header: these are read into memory."""
PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class TooMuch(tarfile.TarError):
    """More than a tar of this size may hold, or than the disk has room for."""


class _Info(tarfile.TarInfo):
    """A member whose extended header is short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in HEADERS and found.size > LONGEST_HEADER:
            raise TooMuch(f"a header of {found.size:,} bytes; more than {LONGEST_HEADER:,} are not read")
        return found


class _Counted:
    """A stream that ends in an error where more than `most` bytes come out of it."""

    def __init__(self, file: IO[bytes], most: int, why: str) -> None:
        self._file, self._left, self._why = file, most, why

    def read(self, size: int = -1) -> bytes:
        """Some bytes."""
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch(self._why)
        return data


def unpack(file: Path, folder: Path) -> None:
    """Unpack a tar (plain, gzip, bzip2 or xz) into `folder`, ordinary files and folders inside it only.

    Raises tarfile.TarError (TooMuch where it holds too much), OSError, EOFError, zlib.error, lzma.LZMAError.
    """
    most, why = _most(file, folder)
    with file.open("rb") as plain:
        start = plain.read(6)
    opened = next((way for magic, way in PACKED if start.startswith(magic)), None)
    with opened(file, "rb") if opened else file.open("rb") as stream:
        counted = _Counted(stream, most, why)  # type: ignore[arg-type]
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Info) as tar:  # type: ignore[call-overload]
            left = most
            for number, member in enumerate(tar, 1):
                left -= member.size
                if left < 0 or member.issparse():
                    raise TooMuch(why if left < 0 else f"{member.name} is a file with holes")
                if number > MOST_MEMBERS:
                    raise TooMuch(f"holds more than {MOST_MEMBERS:,} files")
                tar.extract(member, folder, filter="data")


def _most(file: Path, folder: Path) -> tuple[int, str]:
    """How many bytes may come out, and what is said where it is more."""
    size, free = file.stat().st_size, shutil.disk_usage(folder).free
    packed, room = size * MOST_TIMES + SPARE, max(0, free - SPARE)
    if packed <= room:
        return packed, f"unpacks to more than {packed:,} bytes, {MOST_TIMES} times its size: no tar of Rung's does"
    return room, f"unpacks to more than the {room:,} bytes that are free in {folder.parent}"

"""Unpacking a tar that somebody else made: it writes nothing outside its folder and fills neither disk nor memory."""

import contextlib
import gzip
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from workspace.extras import require

MOST_TIMES = 200
"""Bytes that may come out of one byte of the file, beyond SPARE: JSON lines pack 5 to 50 times, zeros 1,000 times."""
SPARE = 256 << 20
"""Bytes that may come out of any file, and that are left free on the disk."""
MOST_MEMBERS = 200_000
LONGEST_HEADER = 1 << 20
"""Bytes of a member's extended header: these are read into memory."""


PACKED: tuple[tuple[bytes, Callable[[Path, str], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"\x28\xb5\x2f\xfd", lambda file, mode: require("managed", "zstandard").open(file, mode)),
)
HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


PATH_MAX, NAME_MAX = 4096, 255
"""Bytes of a path and of one name in it that Linux takes; other systems refuse earlier by themselves."""


class Odd(tarfile.TarError):
    """A member that no tar of Rung holds."""


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
        """Read some bytes."""
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch(self._why)
        return data


def unpack(file: Path, folder: Path) -> None:
    """Unpack a tar (plain, gzip or zstandard) into the empty `folder`: ordinary files and folders only.

    The tar is read twice: every member is checked before the first byte is written. Links, devices, files with holes,
    names that leave the folder, names too long for the system and names that occur twice are refused.
    Raises tarfile.TarError (Odd, or TooMuch where it holds too much), OSError, EOFError, zlib.error.
    """
    for _ in _members(file, folder):
        pass
    for target, member, tar in _members(file, folder):
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            _write(target, member, tar)


def _members(file: Path, folder: Path) -> Iterator[tuple[Path, tarfile.TarInfo, tarfile.TarFile]]:
    """Yield each member with the path where it belongs. Raises where a member is not what a tar of Rung holds."""
    most, why = _most(file, folder)
    with file.open("rb") as plain:
        start = plain.peek()
    opened = next((way for magic, way in PACKED if start.startswith(magic)), None)
    with opened(file, "rb") if opened else file.open("rb") as stream:
        counted = _Counted(stream, most, why)
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Info) as tar:  # type: ignore[call-overload]
            names = _Names(folder)
            for number, member in enumerate(tar, 1):
                if member.size > most:  # tarfile would read on to where such a member ends, past the end of the file
                    raise TooMuch(why)
                if number > MOST_MEMBERS:
                    raise TooMuch(f"holds more than {MOST_MEMBERS:,} files")
                yield folder / names.add(member), member, tar


class _Names:
    """The names seen so far, so that no member takes the place of another."""

    def __init__(self, folder: Path) -> None:
        self.room = PATH_MAX - len(os.fsencode(folder.absolute())) - 1
        self.files: set[PurePosixPath] = set()
        self.folders: set[PurePosixPath] = set()

    def add(self, member: tarfile.TarInfo) -> PurePosixPath:
        """Return the member's path inside the folder. Raises Odd."""
        shown = f"{member.name:.80}"
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise Odd(f"{shown} is a link, a device or another thing that is no ordinary file")
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name or (member.isreg() and not path.parts):
            raise Odd(f"{shown} leads out of the folder")
        parts = [len(os.fsencode(part)) for part in path.parts]
        if sum(parts) + len(parts) > self.room or any(part > NAME_MAX for part in parts):
            raise Odd(f"{shown} is a path of {len(os.fsencode(member.name)):,} bytes, too long to be written")
        if path in self.files or (member.isreg() and path in self.folders) or self.files & set(path.parents):
            raise Odd(f"{shown} occurs twice")
        self.folders |= set(path.parents) if member.isreg() else {path, *path.parents}
        if member.isreg():
            self.files.add(path)
        return path


def _write(target: Path, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    """Write a new file, never over an existing one: some file systems see more names as equal than `_Names`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None
    mode = 0o600 | (member.mode & 0o155)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as out:
        shutil.copyfileobj(source, out)
    with contextlib.suppress(OverflowError, ValueError):
        os.utime(target, (member.mtime, member.mtime))


def _most(file: Path, folder: Path) -> tuple[int, str]:
    """Return the limit of unpacked bytes, and the message for more."""
    allowed, free = file.stat().st_size * MOST_TIMES + SPARE, shutil.disk_usage(folder).free - SPARE
    room = f"what {folder.parent} has room for" if free < allowed else f"{MOST_TIMES} times its size"
    most = min(allowed, free)
    return most, f"unpacks to more than {most:,} bytes: {room}"

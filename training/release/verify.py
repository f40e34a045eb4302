"""Checking a release on another machine: every file, and the chain behind it."""

from __future__ import annotations

import lzma
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from training.release.record import CHAIN, RELEASE, Release, list_files
from workspace.artefact import read_artefact
from workspace.errors import RungError
from workspace.files import sha256_file
from workspace.untar import unpack


@dataclass(frozen=True, slots=True)
class Checked:
    """`faults` is empty where the release is what was released; `links` counts hashes of the chain that hold."""

    release: Release
    files: int
    links: int
    faults: list[str]


def verify_any(place: Path) -> Checked:
    """As `verify`, of a folder or of a tar that holds one; a tar is unpacked into a folder that goes again.

    Raises RungError where the tar cannot be read, or holds more or less than one release.
    """
    if not place.is_file():
        return verify(place)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            unpack(place, Path(scratch))
        except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise RungError(f"{place}: not a tar that can be read ({error}).", where=str(place)) from error
        found = sorted(path.parent for path in Path(scratch).rglob(RELEASE))
        if len(found) != 1:
            raise RungError(f"{place}: holds {len(found)} releases, expected one.", where=str(place))
        return verify(found[0])


def verify(folder: Path) -> Checked:
    """Compare every file with release.json, the copies in chain/ with `made_from`, and the copies with one another.

    Raises RungError where the folder is no release.
    """
    if not (folder / RELEASE).is_file():
        raise RungError(
            f"{folder}: not a release ({RELEASE} is missing).", "rung release --to prompt", where=str(folder)
        )
    release = read_artefact(folder / RELEASE, Release)
    found = list_files(folder)
    faults = [f"{name} changed" for name, digest in release.files.items() if name in found and found[name] != digest]
    faults += [f"{name} is missing" for name in release.files if name not in found]
    faults += [f"{name} was added" for name in found if name not in release.files]
    faults += [f"{path.relative_to(folder)} is a {kind}" for path in folder.rglob("*") if (kind := _odd(path))]
    chain = folder / CHAIN
    links = [_link(chain, name, digest, RELEASE) for name, digest in release.made_from.items()]
    links += [link for name in release.made_from for link in _inner(chain, name)]
    faults += [fault for fault in links if fault]
    return Checked(release, len(found), sum(not fault for fault in links), sorted(set(faults)))


def _odd(path: Path) -> str:
    """What no release holds; empty for files and folders."""
    if path.is_symlink():
        return "symlink"
    return "" if path.is_file() or path.is_dir() else "device or pipe"


class _Sources(BaseModel):
    """What any artefact of the chain tells of its own sources."""

    made_from: dict[str, str] = {}


def _inner(chain: Path, name: str) -> list[str]:
    """Links from one artefact of the chain to others that are here too; a damaged one is a fault."""
    path = chain / name
    if path.suffix != ".json" or not path.is_file():
        return []
    try:
        made_from = _Sources.model_validate_json(path.read_bytes()).made_from
    except ValidationError:
        return [f"chain/{name} is damaged: it tells no sources"]
    return [_link(chain, other, digest, name) for other, digest in made_from.items() if (chain / other).is_file()]


def _link(chain: Path, name: str, digest: str, by: str) -> str:
    path = chain / name
    if not path.is_file() or not path.resolve().is_relative_to(chain.resolve()):
        return f"chain/{name} is missing"
    return "" if sha256_file(path) == digest else f"chain/{name} is not what {by} was made from"

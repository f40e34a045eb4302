"""Artefacts: what one stage hands to the next. Frozen, hashed, written whole."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workspace.errors import InputError, Problem, RungError
from workspace.files import sha256_file, write_bytes

MOST_PROBLEMS, FEW_MISSING = 20, 3
"""Faults of a file that are reported one by one, and fields that may be missing before it is a file of another kind."""


def now() -> datetime:
    """Return the present moment in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp() -> str:
    """Return the present moment as ISO text in UTC, as the tables of the store keep it."""
    return now().isoformat()


class ArtefactPart(BaseModel):
    """Base of what an artefact holds: it cannot be changed, and takes no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Artefact(ArtefactPart):
    """Base of every JSON artefact: a version, a time, and the SHA-256 of each artefact it was made from.

    `made_from` maps a path relative to the project folder to the hex digest of that file when it was read, so a
    chain can be walked from a released model back to each row.
    """

    SCHEMA: ClassVar[int] = 1

    schema_version: int = 1
    created_at: datetime = Field(default_factory=now)
    made_from: dict[str, str] = Field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the bytes that are written: indented UTF-8 JSON with a newline at the end."""
        return self.model_dump_json(indent=1).encode() + b"\n"


Model = TypeVar("Model", bound=BaseModel)


def revised(model: Model, /, **fields: object) -> Model:
    """Return a copy with other values for these fields, validated as a new one is. Raises ValidationError."""
    return type(model).model_validate({**dict(model), **fields})


class _Version(BaseModel):
    schema_version: int = 1


Kind = TypeVar("Kind", bound=Artefact)


def write_artefact(path: Path, artefact: Artefact) -> None:
    """Write atomically: a reader sees the old file or the new one."""
    write_bytes(path, artefact.to_bytes())


def read_artefact(path: Path, kind: type[Kind]) -> Kind:
    """Read and check an artefact. Raises RungError if it is missing, of a newer Rung, or of another kind."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RungError(f"{path}: cannot be read ({error.strerror}).", where=str(path)) from error
    try:
        artefact = kind.model_validate_json(data)
    except ValidationError as error:
        _check_version(path, kind, _version_of(data))
        raise InputError(_problems(path, error.errors())) from error
    _check_version(path, kind, artefact.schema_version)
    return artefact


def _version_of(data: bytes) -> int:
    """Return the schema version of what could not be read: what a newer Rung added would only look like faults."""
    try:
        return _Version.model_validate_json(data).schema_version
    except ValidationError:
        return 0


def _check_version(path: Path, kind: type[Artefact], version: int) -> None:
    if version > kind.SCHEMA:
        raise RungError(
            f"{path}: written by a newer Rung (schema {version}, this one reads {kind.SCHEMA}).",
            "pip install -U rung",
            where=str(path),
        )


def hashes(root: Path, *paths: Path) -> dict[str, str]:
    """`made_from` for files below the project folder `root`."""
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in paths}


def _problems(path: Path, details: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Return at most MOST_PROBLEMS faults; for a file of another kind its missing fields, in one sentence."""
    lacks = [str(detail["loc"][0]) for detail in details if detail["type"] == "missing" and len(detail["loc"]) == 1]
    if len(lacks) > FEW_MISSING:
        text = (
            f"a file of another kind: {', '.join(lacks[:FEW_MISSING])} and {len(lacks) - FEW_MISSING} more are missing."
        )
        return [Problem(text, where=str(path), expected=", ".join(lacks))]
    return [_problem(path, detail) for detail in details[:MOST_PROBLEMS]]


def _problem(path: Path, detail: Mapping[str, Any]) -> Problem:
    loc = ".".join(str(part) for part in detail["loc"])
    return Problem(f"{loc}: {detail['msg']}" if loc else detail["msg"], where=str(path))

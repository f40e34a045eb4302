"""A frozen dataset: the manifest, written last, and the rows whose hashes it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Required

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from curation.example import Example
from workspace.artefact import Artefact, read_artefact
from workspace.errors import Refusal
from workspace.files import is_unchanged
from workspace.folder import Project, newest, oldest_first

SplitName = Literal["train", "validation", "test"]
SMALL_TEST = 100
"""Items under which a test set shows large differences only, and that is said."""
SHOWS_NOTHING = 6
"""Items under which it shows none over the usual margin; `rung data freeze` works out what a set can show."""


class SplitFile(BaseModel):
    """One split: its file's name, rows and SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    rows: int
    sha256: str


class FrozenRow(TypedDict, total=False):
    """Origin of a frozen row, by split and line; keys of later versions of Rung are kept."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    split: Required[SplitName]
    line: int
    id: str
    source: str
    source_sha256: str | None
    origin: str
    role: str
    state: str
    reviewer: str | None
    automatic: bool
    decision: int | None
    guideline: str | int | None
    licence: str


class LeftOutRow(TypedDict, total=False):
    """A row that was left out of a freeze, with the reason and its evidence."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    id: Required[str]
    source: str
    role: str
    reason: Required[str]
    kept: str
    against: str
    similarity: float


class SampleFacts(TypedDict, total=False):
    """A sample of the review as it was at the freeze; `rows` are the ids of the drawn rows."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    plan: int
    role: str
    seed: int
    population: int
    size: int
    allowed: int
    decided: int
    found: int
    faults: int
    finished: bool
    passed: bool
    failed: bool
    bound: float | None
    words: str
    rows: list[str]


class ReviewFacts(TypedDict, total=False):
    """The review of the frozen rows, in counts; `agreement` is that of all rows that two people decided."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    rows: int
    states: dict[str, int]
    reviewed: int
    by_person: int
    automatic: int
    reviewers: dict[str, int]
    generated: int
    samples: list[SampleFacts]
    agreement: dict[str, Any] | None
    policy: str


class PairAcross(TypedDict):
    """Two near rows that stay in two splits, by id."""

    row: str
    other: str
    kind: str
    similarity: float


class LeakageFacts(TypedDict, total=False):
    """Leaks between the splits at the freeze, those dismissed by name, and near pairs that stay in two splits."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    train_test: int
    train_validation: int
    dismissed: int
    across: list[PairAcross]


class Manifest(Artefact):
    """`datasets/vNNN/manifest.json`. Its existence means that the folder is complete.

    `rows` lists, for every row by split and line, where it comes from: `{"split", "line", "id", "source", "origin",
    "state", "reviewer", "decision", "guideline"}`. `review` and `leakage` are what the gates read and compute again.
    """

    version: str
    test_only: bool = False
    splits: dict[SplitName, SplitFile]
    seed: int
    shares: dict[str, float] = {}
    threshold: float
    policy: dict[str, Any] = {}
    review: ReviewFacts = {}
    leakage: LeakageFacts = {}
    guideline: str = ""
    dropped: list[LeftOutRow] = []
    classes: dict[str, int] = {}
    log: str = ""
    """The log as it was before, by its hash (`curation.store.vouching`); empty in one of an older Rung."""
    rows: list[FrozenRow] = []


def newest_dataset(project: Project, version: str | None = None, *, complete: bool = False) -> Path | None:
    """Folder of the newest frozen version, or of `version`; with `complete`, of the newest that has a train split."""
    if version is not None or not complete:
        return newest(project.datasets, "manifest.json", version, "dataset")
    for folder in reversed(oldest_first(p.parent for p in project.datasets.glob("*/manifest.json"))):
        if "train" in read_manifest(folder).splits:
            return folder
    return None


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of one frozen version."""
    return read_artefact(folder / "manifest.json", Manifest)


def load_split(folder: Path, split: SplitName) -> list[Example]:
    """Return the rows of a split, after its hash was checked. Raises Refusal as `split_file`."""
    return [Example.from_json(line) for line in split_file(folder, split).read_text().split("\n") if line]


def split_file(folder: Path, split: SplitName) -> Path:
    """Return the file of a split. Raises Refusal if it is a symlink, or its SHA-256 differs from the manifest's."""
    entry = read_manifest(folder).splits.get(split)
    if entry is None:
        raise Refusal(f"Dataset {folder.name} has no {split} split.", "rung data freeze")
    path = folder / entry.file
    if not is_unchanged(path, entry.sha256):
        raise Refusal(f"{path}: changed since it was frozen.", "rung data freeze", where=str(path))
    return path


def changed_splits(folder: Path, manifest: Manifest) -> list[str]:
    """Return names of the split files that are gone, are symlinks or do not hold the bytes that were frozen."""
    return [s.file for s in manifest.splits.values() if not is_unchanged(folder / s.file, s.sha256)]

"""A frozen dataset: the manifest, written last, and the rows it vouches for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from curation.example import Example
from workspace.artefact import Artefact, read_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
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
    review: dict[str, Any] = {}
    leakage: dict[str, Any] = {}
    guideline: str = ""
    dropped: list[dict[str, Any]] = []
    classes: dict[str, int] = {}
    rows: list[dict[str, Any]] = []


def newest_dataset(project: Project, version: str | None = None, *, complete: bool = False) -> Path | None:
    """Folder of the newest frozen version, or of `version`; with `complete`, of the newest that has a train split."""
    if version is not None or not complete:
        return newest(project.datasets, "manifest.json", version, "dataset")
    for folder in reversed(oldest_first(p.parent for p in project.datasets.glob("*/manifest.json"))):
        if "train" in read_manifest(folder).splits:
            return folder
    return None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of one frozen version."""
    return read_artefact(folder / "manifest.json", Manifest)


def load_split(folder: Path, split: SplitName) -> list[Example]:
    """The rows of a split, after its bytes were found to be those that were frozen. Raises Refusal as `split_file`."""
    return [Example.from_json(line) for line in split_file(folder, split).read_text().split("\n") if line]


def split_file(folder: Path, split: SplitName) -> Path:
    """The file of a split, after its bytes were found to be those that were frozen.

    Raises Refusal where it is a symlink, or its SHA-256 differs from the manifest's.
    """
    entry = read_manifest(folder).splits.get(split)
    if entry is None:
        raise Refusal(f"Dataset {folder.name} has no {split} split.", "rung data freeze")
    path = folder / entry.file
    if path.is_symlink() or not path.is_file() or sha256_file(path) != entry.sha256:
        raise Refusal(f"{path}: changed since it was frozen.", "Freeze a new version: rung data freeze")
    return path

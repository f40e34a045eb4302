"""What production is measured against: the frozen train rows of the released dataset, and what the released model
answered on its test items.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from curation.example import Example
from curation.manifest import SplitName, load_split, newest_dataset, read_manifest
from evaluation.bench import closed_set
from evaluation.report import Outcome, Report, read_outcomes
from training.release.current import standing_release
from training.release.record import Release
from training.watch.own_turns import OwnTurns
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True)
class Standing:
    """The release that stands, with its dataset. `rows` are its train rows (`split` says where they are from, where
    it has none); `answered` what the released model said on the test items; `choices` the closed set of answers.
    """

    folder: Path
    release: Release
    dataset: Path
    split: SplitName
    rows: list[Example]
    answered: list[Outcome]
    choices: tuple[str, ...]
    turns: OwnTurns

    @property
    def against(self) -> str:
        """The rows in words: `1,204 train rows of v002`."""
        return f"{len(self.rows):,} {self.split} rows of {self.dataset.name}"

    def sources(self) -> list[Path]:
        """Files that a measure of production is made from."""
        return [self.folder / "release.json", self.dataset / "manifest.json"]


def released(project: Project, settings: Settings) -> Standing:
    """What is out. Raises Refusal where nothing was released, or the dataset is not what was frozen."""
    found = standing_release(project)
    if found is None:
        raise Refusal("Nothing is released yet, so there is nothing to measure against.", "rung release --to prompt")
    return standing_of(project, settings, *found)


def standing_of(project: Project, settings: Settings, folder: Path, release: Release) -> Standing:
    """A release with its dataset. Raises Refusal where that is gone, or is not what was frozen."""
    dataset, split = _dataset(project, release)
    rows = load_split(dataset, split)
    choices = closed_set(project, rows, settings.evaluation)
    return Standing(folder, release, dataset, split, rows, _answered(project, release), choices, OwnTurns(rows, folder))


def _dataset(project: Project, release: Release) -> tuple[Path, SplitName]:
    """The released dataset's train split; of a test set alone, that of the newest dataset which has one, else it."""
    own = newest_dataset(project, release.dataset or None)
    if own is None:
        raise Refusal(f"The dataset of {release.id} is not here.", "rung restore")
    if "train" in read_manifest(own).splits:
        return own, "train"
    other = newest_dataset(project, complete=True)
    return (other, "train") if other is not None else (own, "test")


def _answered(project: Project, release: Release) -> list[Outcome]:
    """What the released arm answered on the test items, by the report that the release was made from; none where that
    is no longer there or was changed.
    """
    arm = "tuned" if release.run else release.arm
    for name in release.made_from:
        path = project.root / name
        if path.name != "report.json" or not path.is_file():
            continue
        report = read_artefact(path, Report)
        measured = next((result for result in report.arms if result.arm == arm), None)
        outputs = path.with_name("outputs.jsonl")
        if measured is not None and outputs.is_file() and sha256_file(outputs) == report.outputs_sha256:
            found = [o for o in read_outcomes(outputs) if o.split == "test" and o.arm == arm]
            return [o for o in found if o.form == measured.form]
    return []

"""Reference that production is measured against: the rows of the released dataset and the released model's answers on
its test items; and the release that each import of logs was made with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.example import Example, text_of
from curation.mask import mask
from curation.split.manifest import SplitName, load_split, newest_dataset, read_manifest
from evaluation.bench import closed_set
from evaluation.measurement_report import ItemOutcome, Report, read_outcomes
from training.monitoring.fields import Message
from training.monitoring.requests import Import, Logged
from training.release.releases import RELEASE, Release, current_release
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.files import is_unchanged
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True)
class Reference:
    """The current release, with its dataset. `rows` are its train rows (`split` says where they are from, where
    it has none); `answered` what the released model said on the test items; `choices` the closed set of answers.
    """

    folder: Path
    release: Release
    dataset: Path
    split: SplitName
    rows: list[Example]
    answered: list[ItemOutcome]
    choices: tuple[str, ...]
    turns: OwnTurns


def released(project: Project, settings: Settings) -> Reference:
    """Return the current release's reference. Raises Refusal if there is none, or the dataset is not as frozen."""
    found = current_release(project)
    if found is None:
        raise Refusal("Nothing is released yet, so there is nothing to measure against.", "rung release --to prompt")
    return reference_of(project, settings, *found)


def reference_of(project: Project, settings: Settings, folder: Path, release: Release) -> Reference:
    """Return a release with its dataset. Raises Refusal if that is gone, or is not what was frozen."""
    dataset, split = _dataset(project, release)
    rows = load_split(dataset, split)
    choices = closed_set(project, rows, settings.evaluation)
    return Reference(
        folder, release, dataset, split, rows, _answered(project, release), choices, OwnTurns(rows, folder)
    )


def _dataset(project: Project, release: Release) -> tuple[Path, SplitName]:
    """Return the released dataset, or the newest one with a train split if it is a test set alone."""
    own = newest_dataset(project, release.dataset or None)
    if own is None:
        raise Refusal(f"The dataset of {release.id} is not here.", "put its folder back, or release again")
    if "train" in read_manifest(own).splits:
        return own, "train"
    other = newest_dataset(project, complete=True)
    return (other, "train") if other is not None else (own, "test")


def _answered(project: Project, release: Release) -> list[ItemOutcome]:
    """Return the released arm's answers on the test items; empty if the report behind the release changed."""
    arm = "tuned" if release.run else release.arm
    for name in release.made_from:
        path = project.root / name
        if path.name != "report.json" or not path.is_file():
            continue
        report = read_artefact(path, Report)
        measured = next((result for result in report.arms if result.arm == arm), None)
        outputs = path.with_name("outputs.jsonl")
        if measured is not None and is_unchanged(outputs, report.outputs_sha256):
            found = [o for o in read_outcomes(outputs) if o.split == "test" and o.arm == arm]
            return [o for o in found if o.form == measured.form]
    return []


PASSAGES = "Passages:\n[1] "
"""Start of the arm `rag`'s message with its passages (evaluation/arms/prompted.py)."""


class OwnTurns:
    """Takes from a request what the release put there; `system` is the message that all train rows share, or empty."""

    def __init__(self, train: Sequence[Example], release: Path | None) -> None:
        systems = {row.system for row in train}
        self.system: str | None = systems.pop() if len(systems) == 1 else None
        prompt = release / "prompt" / "prompt.json" if release else None
        shown = json.loads(prompt.read_text(encoding="utf-8"))["examples"] if prompt and prompt.is_file() else []
        self.shown = {_pair(row.asked, row.answer) for row in map(Example, shown)}

    def of(self, messages: Sequence[Mapping[str, Any]]) -> list[Message]:
        """Return the turns as a train row would have them. The system message is the rows' own where all share one."""
        turns = [dict(turn) for turn in messages if turn.get("role") != "system"]
        while len(turns) > 2 and _pair(turns[:1], text_of(turns[1].get("content"))) in self.shown:
            turns = turns[2:]
        if turns and turns[-1].get("role") == "user":
            text = text_of(turns[-1].get("content"))
            passages, parted, asked = text.partition("\n\n")
            turns[-1]["content"] = asked if parted and passages.startswith(PASSAGES) else text
        if self.system is None:
            return [*(dict(turn) for turn in messages if turn.get("role") == "system"), *turns]
        return [*([{"role": "system", "content": self.system}] if self.system else []), *turns]

    def question(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the question of those turns."""
        return Example({"messages": self.of(messages)}).question


def _pair(asked: Sequence[Mapping[str, Any]], answer: str | None) -> tuple[str, str]:
    """Question and answer of an exchange, masked as the log's are."""
    said = "\n".join(text_of(turn.get("content")) for turn in asked if turn.get("role") != "system")
    return mask(said), mask(answer or "")


class Origins:
    """The release that a request `W-001:17` was sent to."""

    def __init__(self, project: Project, settings: Settings, imports: Iterable[Import]) -> None:
        self.project, self.settings = project, settings
        self.releases = {made.id: made.release for made in imports}
        self._known: dict[str | None, Reference] = {}

    def of(self, ref: str) -> Reference:
        """Return the release with its dataset; the current one for an import from before the first release.

        Raises Refusal if that release or its dataset is gone, or nothing is released.
        """
        name = ref.partition(":")[0]
        release = self.releases[name]
        if release not in self._known:
            self._known[release] = self._reference(name, release)
        return self._known[release]

    def question(self, each: Logged) -> str:
        """Return the question as a row would have it."""
        return self.of(each.ref).turns.question(each.messages)

    def _reference(self, name: str, release: str | None) -> Reference:
        if release is None:
            return released(self.project, self.settings)
        folder = self.project.releases / release
        if not (folder / RELEASE).is_file():
            hint = f"put its folder back, or remove watch/{name} and import its logs again"
            raise Refusal(f"{release}, which {name} was made with, is gone.", hint)
        return reference_of(self.project, self.settings, folder, read_artefact(folder / RELEASE, Release))

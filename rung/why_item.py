"""`rung why E-002:41`: one item of an evaluation: what each arm answered, and the train rows nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation.manifest import load_split, newest_dataset, read_manifest
from curation.quality.mask import mask
from evaluation.looks import split_to_show
from evaluation.nearest import Neighbours, TrainRow
from evaluation.outcomes import load_baseline
from evaluation.report import Outcome, Report, read_report
from rung.report.figures import arm_name
from rung.report.items import near_words
from rung.report.page import shown
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import load_settings


@dataclass(frozen=True, slots=True)
class ItemWhy:
    """One item: its question, what was expected, each arm's outcome, and the nearest train rows."""

    ref: str
    question: str
    expected: str
    outcomes: list[Outcome]
    near: list[TrainRow]

    def lines(self) -> list[str]:
        """For the shell."""
        out = [f"{self.ref}   {shown(mask(self.question), 400)}", f"expected   {shown(mask(self.expected), 200)}", ""]
        for outcome in self.outcomes:
            mark = "✓" if outcome.score >= 1 else "✗" if outcome.score <= 0 else f"{outcome.score:.2f}"
            out.append(f"{mark} {arm_name(outcome.arm):<20} {shown(mask(outcome.output), 200)}")
        heading = "Train rows nearest to it (a hint: no row alone makes a model answer as it does)"
        return [*out, "", heading, *(f"  {near_words(row)}" for row in self.near)] if self.near else out

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ref": self.ref,
            "question": self.question,
            "expected": self.expected,
            "outputs": [{"arm": o.arm, "output": o.output, "score": o.score} for o in self.outcomes],
            "train_rows": [
                {"id": r.id or None, "line": r.line, "similarity": r.similarity, "reviewer": r.reviewer,
                 "state": r.state, "source": r.source} for r in self.near
            ],
        }  # fmt: skip


def why_item(project: Project, ref: str) -> ItemWhy:
    """The test item that `E-002:41` names.

    Raises Refusal while test items stay shut, RungError where there is no such item.
    """
    name, _, number = ref.partition(":")
    folder, report = read_report(project, name)
    settings = load_settings(project.settings_file)
    if split_to_show(project, settings, report.test_sha256) != "test":
        raise Refusal("Test items stay shut until the verdict on the last planned run.", "rung verdict --items")
    found = [o for each in load_baseline(folder, report).outcomes.values() for o in each if o.item == int(number)]
    if not found:
        raise RungError(f"{name} has no test item {number}.", f"1 to {report.n}")
    question = load_split(project.datasets / report.dataset, "test")[int(number) - 1].question
    return ItemWhy(ref, question, found[0].expected, found, _near(project, report, question))


def _near(project: Project, report: Report, question: str) -> list[TrainRow]:
    """Of the dataset that the report was made on, else of the newest one with the same test set and a train split."""
    for folder in (project.datasets / report.dataset, newest_dataset(project, complete=True)):
        if folder is not None and "train" in read_manifest(folder).splits:
            return Neighbours(folder).of([question])[0]
    return []

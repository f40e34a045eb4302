"""The blind comparison of a run as a service: for the command, the screen and the web page alike.

`open_comparison` gives the plan with its pairings, `next_for` what a rater has not answered, `record` writes an answer
at once, `standing` counts, and `reveal` ends it where everyone who began has finished.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from curation.split.manifest import load_split
from evaluation.measurement_report import read_report
from evaluation.outcomes import load_baseline
from evaluation.people.blinding import rater_file, rater_files, read_sheet
from evaluation.people.pairings import (
    ITEMS,
    BlindPlan,
    Choice,
    Pairing,
    PeoplePreference,
    draw_items,
    pairings,
    preferences,
)
from evaluation.testset.clusters import clusters_of
from evaluation.verdict.rule import Verdict, newest_verdict
from workspace.appended import append_lines, read_lines
from workspace.artefact import read_artefact, write_artefact
from workspace.errors import Refusal, RungError
from workspace.files import write_text
from workspace.folder import Project, oldest_first
from workspace.json_types import JsonObject
from workspace.settings import load_settings

FOLDER, PLAN, RESULT = "human", "plan.json", "result.json"
Given = dict[str, dict[int, tuple[Choice, str]]]


@dataclass(frozen=True, slots=True)
class BlindComparison:
    """A plan with its pairings, in the order in which they are asked; `folder` is `human/` of the evaluation."""

    folder: Path
    plan: BlindPlan
    pairings: tuple[Pairing, ...]
    groups: Mapping[int, str] | None = None
    """Item -> group that it shares with others (`[dataset] group_by`): their preferences count together."""

    @property
    def asked(self) -> list[Pairing]:
        """Return the pairings that people are asked: equal outputs are ties by themselves."""
        return [pairing for pairing in self.pairings if not pairing.is_same]

    def ref(self, identity: int) -> str:
        """Return the log's name of one pairing: E-002/human/7."""
        return f"{self.folder.parent.name}/{FOLDER}/{identity}"

    def next_for(self, rater: str) -> Pairing | None:
        """Return the first pairing that this rater has not answered."""
        done = self.answers().get(rater, {})
        return next((pairing for pairing in self.asked if pairing.id not in done), None)

    def record(self, rater: str, identity: int, choice: str, reason: str = "") -> None:
        """Write one answer at once. Raises RungError for an unknown id or choice, or an empty name."""
        if choice not in get_args(Choice):
            raise RungError(f'"{choice}" is none of {", ".join(get_args(Choice))}.')
        if identity not in {pairing.id for pairing in self.asked}:
            raise RungError(f"{identity} is not of this comparison.")
        append_lines(
            rater_file(self.folder, "answers", rater), [{"id": identity, "choice": choice, "reason": reason.strip()}]
        )

    def take_sheet(self, rater: str, path: Path) -> None:
        """Record a filled sheet. Raises InputError with every line that is no answer."""
        if not path.is_file():
            raise RungError(f"{path}: no such file.", "rung evaluate --human --sheet FILE")
        known = {pairing.id: pairing.is_shown_by for pairing in self.asked}
        for identity, (choice, reason) in read_sheet(path, "choice", get_args(Choice), known).items():
            self.record(rater, identity, choice, reason)

    def answers(self) -> Given:
        """Return every rater's answers by id. Raises InputError for a damaged file."""
        files = rater_files(self.folder, "answers")
        return {rater: dict(read_lines(path, _answer, "answer")) for rater, path in files.items()}

    def standing(self) -> dict[str, tuple[int, int]]:
        """Return by rater: answered, of how many."""
        wanted = {pairing.id for pairing in self.asked}
        return {rater: (len(wanted & given.keys()), len(wanted)) for rater, given in self.answers().items()}

    def reveal(self) -> list[PeoplePreference]:
        """Return the preferences and write result.json. Raises Refusal while somebody who began has not finished."""
        standing = self.standing()
        behind = [f"{rater} has {of - done} left" for rater, (done, of) in standing.items() if done < of]
        if self.asked and not standing:
            behind = ["nobody has answered yet"]
        if behind:
            raise Refusal(f"Not revealed: {', '.join(behind)}.", f"rung evaluate {self.plan.run} --human --rater NAME")
        found = preferences(self.pairings, self.answers(), self.groups)
        against = [preference.model_dump(mode="json") for preference in found]
        document = {"run": self.plan.run, "raters": list(standing), "against": against}
        write_text(self.folder / RESULT, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        return found


def _answer(row: Mapping[str, Any]) -> tuple[int, tuple[Choice, str]]:
    """Raises ValueError or KeyError for what is none."""
    if row["choice"] not in get_args(Choice):
        raise ValueError(row["choice"])
    return int(row["id"]), (row["choice"], str(row["reason"]))


def open_comparison(project: Project, run: str | None = None, items: int = ITEMS) -> BlindComparison:
    """Return the comparison of the run's newest verdict, planned if there is none. Raises Refusal without a verdict."""
    found = newest_verdict(project, run)
    if found is None:
        raise Refusal("No verdict yet: people compare outputs after it, so that none is seen before.", "rung evaluate")
    folder, verdict = found
    return _comparison(project, folder, verdict, items)


def begun_comparison(project: Project) -> BlindComparison | None:
    """Return the newest comparison that has a plan; None if none was begun."""
    plans = oldest_first(project.evaluations.glob(f"*/{FOLDER}/{PLAN}"))
    if not plans:
        return None
    return open_comparison(project, read_artefact(plans[-1], BlindPlan).run)


def _comparison(project: Project, evaluation: Path, verdict: Verdict, items: int) -> BlindComparison:
    baseline = load_baseline(*read_report(project, verdict.baseline_report or ""))
    tuned = load_baseline(*read_report(project, evaluation.name)).outcomes[verdict.candidate]
    rivals = [arm for arm in dict.fromkeys(("base", verdict.chosen)) if arm in baseline.outcomes]
    folder, path = evaluation / FOLDER, evaluation / FOLDER / PLAN
    if not path.is_file():
        seed = secrets.randbits(31)  # nobody who reads the code can tell the sides from it
        drawn = draw_items(len(tuned), rivals, items, seed)
        folder.mkdir(exist_ok=True)
        test_sha = verdict.test_sha256 or ""
        write_artefact(path, BlindPlan(run=verdict.run or "", items=drawn, seed=seed, test_sha256=test_sha))
    plan = read_artefact(path, BlindPlan)
    rows = load_split(project.datasets / (verdict.dataset or ""), "test")
    by_place = {arm: dict(enumerate(baseline.outcomes[arm], 1)) for arm in plan.items}
    questions = [o.asked(rows) for o in tuned]
    made = tuple(pairings(plan, questions, dict(enumerate(tuned, 1)), by_place))
    group_by = load_settings(project.settings_file).dataset.group_by
    named = clusters_of(project.datasets / (verdict.dataset or ""), group_by, [o.row for o in tuned])
    return BlindComparison(folder, plan, made, None if named is None else dict(enumerate(named, 1)))


def read_result(evaluation: Path) -> list[PeoplePreference]:
    """Return people's preferences once they were revealed; empty before."""
    path = evaluation / FOLDER / RESULT
    if not path.is_file():
        return []
    document: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    return [PeoplePreference.model_validate(entry) for entry in document["against"]]

"""People's labels for a judge, on a random blind subset of a run's outputs, and the judge's input from that run."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.review.agreement import krippendorff_alpha
from curation.split.manifest import load_split
from evaluation.judge.correction import by_judge
from evaluation.judge.grading import Case
from evaluation.measurement_report import ItemOutcome, read_report
from evaluation.outcomes import load_baseline
from evaluation.people.blinding import Hidden, hidden, rater_file, rater_files, read_sheet
from evaluation.testset.clusters import clusters_of
from evaluation.verdict.rule import Verdict, newest_verdict
from workspace.appended import append_lines, is_cut, read_lines
from workspace.artefact import Artefact, read_artefact, write_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

FOLDER = "judge"
ITEMS = 160
"""Items that people are asked to label by default, of each arm: about 80 yes and 80 no where half are right."""
SEED = 17
VALUES = {"score": {"1": 0.0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1.0}, "rubric": {"yes": 1.0, "no": 0.0}}
"""Labels that people may give an output, with their values, by the kind of judge."""


class LabelPlan(Artefact):
    """`judge/plan.json`: which items of which arms people label. `seed` decides items and order."""

    run: str
    arms: list[str]
    items: list[int]
    seed: int
    test_sha256: str


@dataclass(frozen=True, slots=True)
class JudgeSession:
    """A run with its verdict, each arm's outcomes by item, and the questions. `folder` is `judge/` beside them."""

    project: Project
    settings: Settings
    folder: Path
    verdict: Verdict
    outcomes: Mapping[str, Mapping[int, ItemOutcome]]
    questions: Mapping[int, str]
    groups: Mapping[int, str] | None = None
    """The group of each item, where items share one (`[dataset] group_by`): such items count together."""

    @property
    def decides(self) -> bool:
        """True if the judge is the primary metric."""
        return by_judge(self.verdict.metric)

    @property
    def arms(self) -> list[str]:
        """The arms that are judged: all where the judge decides, else the tuned one and the one it is compared with."""
        rivals = [rival.arm for rival in self.verdict.arms] if self.decides else [self.verdict.chosen]
        return ["tuned", *rivals]

    def cases(self, arm: str) -> dict[int, Case]:
        """Return the judge's input for an arm, by item."""
        return {i: Case(self.questions[i], o.expected, o.output) for i, o in self.outcomes[arm].items()}


@dataclass(frozen=True, slots=True)
class Label:
    """One output that people label; `arms` gave it (equal outputs of one item are asked once), and never shown."""

    id: int
    item: int
    case: Case
    arms: tuple[str, ...]

    @property
    def veil(self) -> Hidden:
        """Question, reference and output as they are shown at first: personal data and keys masked."""
        return hidden(self.case.question, self.case.expected, self.case.output)

    def is_shown_by(self, row: Mapping[str, object]) -> bool:
        """True if a line of a sheet holds the output, as it is or masked."""
        return row.get("answer", self.case.output) in (self.case.output, self.veil.texts[2])

    def shown(self, *, masked: bool = True) -> dict[str, object]:
        """Return the line of a sheet."""
        case = self.case
        asked, reference, answer = self.veil.texts if masked else (case.question, case.expected, case.output)
        line = {"id": self.id, "question": asked, "reference": reference, "answer": answer}
        return {**line, "meets": "", "reason": ""}


def open_sitting(project: Project, settings: Settings, run: str | None) -> JudgeSession:
    """Return the newest verdict (of a run) with the judge's input. Raises Refusal without a verdict."""
    found = newest_verdict(project, run)
    if found is None:
        raise Refusal("No verdict yet: outputs are judged after it, so that none is seen before.", "rung evaluate")
    return sitting_of(project, settings, *found)


def sitting_of(project: Project, settings: Settings, folder: Path, verdict: Verdict) -> JudgeSession:
    """Return the judge's session for the evaluation in `folder`."""
    baseline = load_baseline(*read_report(project, verdict.baseline_report or ""))
    tuned = load_baseline(*read_report(project, folder.name)).outcomes[verdict.candidate]
    arms = {"tuned": tuned, **{rival.arm: baseline.outcomes[rival.arm] for rival in verdict.arms}}
    rows = load_split(project.datasets / (verdict.dataset or ""), "test")
    questions = {o.item: o.asked(rows) for o in tuned}
    outcomes = {arm: {o.item: o for o in given} for arm, given in arms.items()}
    items = [o.item for o in tuned]
    named = clusters_of(project.datasets / (verdict.dataset or ""), settings.dataset.group_by, [o.row for o in tuned])
    groups = None if named is None else dict(zip(items, named, strict=True))
    return JudgeSession(project, settings, folder / FOLDER, verdict, outcomes, questions, groups)


def labels(sitting: JudgeSession, count: int = ITEMS) -> list[Label]:
    """Return the outputs that people label, mixed over arms and items; the plan is made where there is none."""
    path = sitting.folder / "plan.json"
    if not path.is_file():
        items = sorted(sitting.outcomes["tuned"])
        drawn = sorted(random.Random(SEED).sample(items, min(count, len(items))))
        path.parent.mkdir(exist_ok=True)
        run, sha = sitting.verdict.run or "", sitting.verdict.test_sha256 or ""
        write_artefact(path, LabelPlan(run=run, arms=sitting.arms, items=drawn, seed=SEED, test_sha256=sha))
    plan = read_artefact(path, LabelPlan)
    by_arm = {arm: sitting.cases(arm) for arm in plan.arms}
    grouped: dict[tuple[int, str], tuple[Case, list[str]]] = {}
    for item in plan.items:
        for arm, cases in by_arm.items():
            grouped.setdefault((item, cases[item].output.strip()), (cases[item], []))[1].append(arm)
    order = list(grouped.items())
    random.Random(plan.seed).shuffle(order)
    return [Label(n, key[0], case, tuple(arms)) for n, (key, (case, arms)) in enumerate(order, 1)]


def take_labels(sitting: JudgeSession, path: Path, rater: str) -> int:
    """Read a filled sheet into `judge/labels.RATER.jsonl`; return the count. InputError with each faulty line."""
    values = VALUES[sitting.settings.judge.kind]
    found = read_sheet(path, "meets", values, {label.id: label.is_shown_by for label in labels(sitting)})
    rows = [{"id": identity, "value": values[word], "reason": reason} for identity, (word, reason) in found.items()]
    append_lines(rater_file(sitting.folder, "labels", rater), rows)
    return len(found)


@dataclass(frozen=True, slots=True)
class People:
    """People's labels: mean by arm and item, names, agreement, splits; `cut`: raters whose file ends mid-label."""

    by_arm: Mapping[str, Mapping[int, float]]
    raters: tuple[str, ...] = ()
    alpha: float | None = None
    split: int = 0
    cut: tuple[str, ...] = ()


def read_people(sitting: JudgeSession) -> People:
    """Return all labels (`rubric`: not of outputs that split raters evenly). Raises InputError for a damaged file."""
    files = rater_files(sitting.folder, "labels")
    if not files:
        return People({arm: {} for arm in sitting.arms})
    given: dict[int, dict[str, float]] = {}
    for rater, path in files.items():
        newest = dict(read_lines(path, lambda row: (int(row["id"]), float(row["value"])), "label"))
        for identity, said in newest.items():
            given.setdefault(identity, {})[rater] = said
    by_arm: dict[str, dict[int, float]] = {arm: {} for arm in sitting.arms}
    split = 0
    for label in labels(sitting):
        votes = list(given.get(label.id, {}).values())
        value = _settled(votes, sitting.settings.judge.kind)
        split += bool(votes) and value is None
        for arm in label.arms if value is not None else ():
            by_arm.setdefault(arm, {})[label.item] = float(value or 0.0)
    units = [{name: str(vote) for name, vote in votes.items()} for votes in given.values()]
    agreed = krippendorff_alpha(units) if len(files) > 1 else None
    return People(by_arm, tuple(files), agreed, split, tuple(name for name, path in files.items() if is_cut(path)))


def _settled(votes: Sequence[float], kind: str) -> float | None:
    if not votes:
        return None
    mean = sum(votes) / len(votes)
    if kind == "score":
        return mean
    return None if abs(mean - 0.5) < 1e-9 else float(mean > 0.5)

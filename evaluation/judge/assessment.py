"""A judge on a run that has its verdict: what it says of each arm, held against people's labels, into the verdict.

It informs; it decides only where `[evaluation] metric = "judge"` was named before the test set was opened, and then
only as far as it agrees with people's labels, of a random blind subset of the outputs.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chat.protocols import ChatModel
from curation.review.agreement import krippendorff_alpha
from curation.split.manifest import load_split
from curation.store import open_store, store_exists
from evaluation.ask import Replies
from evaluation.bench import Watch, clusters_of
from evaluation.judge.model_judge import (
    Case,
    JudgedArm,
    JudgedRival,
    JudgeReport,
    by_judge,
    calibrated,
    corrected_difference,
    length_bias,
    project_judge,
)
from evaluation.measurement_report import ItemOutcome, read_report
from evaluation.outcomes import load_baseline
from evaluation.people_comparison import Hidden, hidden, rater_file, rater_files, read_sheet
from evaluation.verdict.rule import Verdict, newest_verdict
from workspace.artefact import Artefact, read_artefact, revised, write_artefact
from workspace.errors import Refusal, RungError
from workspace.files import append_lines, is_cut, read_lines, sha256_bytes
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
        mean = sum(votes) / len(votes) if votes else 0.5
        value = None if abs(mean - 0.5) < 1e-9 else float(mean > 0.5)
        if votes and sitting.settings.judge.kind == "score":
            value = mean
        split += bool(votes) and value is None
        for arm in label.arms if value is not None else ():
            by_arm.setdefault(arm, {})[label.item] = float(value or 0.0)
    units = [{name: str(vote) for name, vote in votes.items()} for votes in given.values()]
    agreed = krippendorff_alpha(units) if len(files) > 1 else None
    return People(by_arm, tuple(files), agreed, split, tuple(name for name, path in files.items() if is_cut(path)))


def judge_run(sitting: JudgeSession, model: ChatModel, replies: Replies, watch: Watch) -> JudgeReport:
    """Ask the judge of every output that counts, and hold it against people's labels."""
    pinned(model)
    judge = project_judge(sitting.project, sitting.settings, model, replies)
    people = read_people(sitting)
    said = {}
    for arm in sitting.arms:
        cases = sitting.cases(arm)
        said[arm] = dict(zip(cases, judge.grade(list(cases.values()), watch(f"{arm}, judged")), strict=True))
    arms, rivals = _held_against(sitting, said, people)
    notes = [*judge.notes, *written_by(sitting, model)]
    if people.split:
        notes.append(f"{people.split} outputs on which the raters were split were left out")
    notes += [f"the last label of {n} is not whole: it is being written, or was cut, and is asked again"
              for n in people.cut]  # fmt: skip
    why = next((rival.why for rival in rivals if rival.why), "")
    return JudgeReport(
        run=sitting.verdict.run or "",
        kind=sitting.settings.judge.kind,
        model=model.name,
        rubric_sha256=sha256_bytes(judge.rubric.encode()),
        confidence=sitting.verdict.confidence,
        decides=sitting.decides,
        used=not why,
        why=why,
        arms=arms,
        rivals=rivals,
        raters=list(people.raters),
        alpha=people.alpha,
        notes=notes,
    )


def _held_against(
    sitting: JudgeSession, said: Mapping[str, Mapping[int, float | None]], people: People
) -> tuple[list[JudgedArm], list[JudgedRival]]:
    arms = []
    for arm in sitting.arms:
        labelled, lengths = people.by_arm.get(arm, {}), {i: len(o.output) for i, o in sitting.outcomes[arm].items()}
        passing, confidence = sitting.settings.judge.passing, sitting.verdict.confidence
        found = calibrated(arm, said[arm], labelled, passing, confidence, sitting.groups)
        plain = {item: value or 0.0 for item, value in said[arm].items()}
        arms.append(revised(found, length_bias=length_bias(plain, labelled, lengths)))
    return arms, [_rival(sitting, arm, said, arms, people) for arm in sitting.arms if arm != "tuned"]


def judged_again(sitting: JudgeSession, report: JudgeReport) -> JudgeReport:
    """Return the report of a judge that decides, computed again from its scores and people's labels."""
    said = {arm: {item: o.score for item, o in sitting.outcomes[arm].items()} for arm in sitting.arms}
    arms, rivals = _held_against(sitting, said, read_people(sitting))
    why = next((rival.why for rival in rivals if rival.why), "")
    return revised(report, arms=arms, rivals=rivals, used=not why, why=why, decides=True)


def _rival(
    sitting: JudgeSession,
    arm: str,
    said: Mapping[str, Mapping[int, float | None]],
    arms: list[JudgedArm],
    people: People,
) -> JudgedRival:
    """Tuned minus the arm. Corrected only where the judge may be used on both."""
    mine, other = ({i: v or 0.0 for i, v in said[name].items()} for name in ("tuned", arm))
    raw = sum(mine[i] - other[i] for i in mine) / len(mine)
    why = next((f"{a.arm}: {a.why}" for a in arms if a.arm in ("tuned", arm) and not a.used), "")
    labelled = [people.by_arm.get(name, {}) for name in ("tuned", arm)]
    both = {item: (labelled[0][item], labelled[1][item]) for item in labelled[0] if item in labelled[1]}
    if why or len(both) < 2:
        return JudgedRival(arm=arm, raw=raw, why=why or "people judged both outputs of fewer than two items")
    found = corrected_difference(mine, other, both, sitting.verdict.confidence, sitting.groups)
    clusters = None if sitting.groups is None else len({sitting.groups[item] for item in both})
    return JudgedRival(arm=arm, raw=raw, clusters=clusters, **found._asdict())


def written_by(sitting: JudgeSession, model: ChatModel) -> list[str]:
    """Return what the judge itself wrote: candidates of the project, or the outputs it judges. It favours its own."""
    drafted = 0
    if store_exists(sitting.project, sitting.settings):
        with open_store(sitting.project, sitting.settings) as store:
            drafted = sum(row.meta.get("model") == model.name for row in store.rows(excluded=None))
    told = [f"the judge {model.name} also drafted {drafted} rows of this project"] if drafted else []
    names = (sitting.folder.parent.name, sitting.verdict.baseline_report)
    reports = [read_report(sitting.project, name)[1] for name in names if name]
    others = {arm.settings.get("model") for report in reports for arm in report.arms}
    if model.name in {report.model for report in reports} | others:
        told.append(f"the judge {model.name} also wrote outputs that it judges")
    return told


def pinned(model: ChatModel) -> None:
    """Raises RungError for a name that means another model tomorrow."""
    if model.name.lower().endswith("latest"):
        raise RungError(f'The judge "{model.name}" is not pinned: name an exact version.', "[judge] base in rung.toml")

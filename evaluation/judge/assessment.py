"""A judge on a run that has its verdict: what it says of each arm, held against people's labels, into the verdict.

It informs; it decides only where `[evaluation] metric = "judge"` was named before the test set was opened, and then
only as far as it agrees with people's labels.
"""

from collections.abc import Mapping

from chat.protocols import ChatModel
from curation.store import open_store, store_exists
from evaluation.ask import Replies
from evaluation.bench import Watch
from evaluation.judge.correction import (
    JudgedArm,
    JudgedRival,
    JudgeReport,
    calibrated,
    corrected_difference,
    length_bias,
)
from evaluation.judge.grading import project_judge
from evaluation.judge.people_labels import JudgeSession, People, read_people
from evaluation.measurement_report import read_report
from workspace.artefact import revised
from workspace.errors import RungError
from workspace.files import sha256_bytes


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
    arms = [_judged(sitting, arm, said[arm], people.by_arm.get(arm, {})) for arm in sitting.arms]
    return arms, [_rival(sitting, arm, said, arms, people) for arm in sitting.arms if arm != "tuned"]


def judged_again(sitting: JudgeSession, report: JudgeReport) -> JudgeReport:
    """Return the report of a judge that decides, computed again from its scores and people's labels."""
    said = {arm: {item: o.score for item, o in sitting.outcomes[arm].items()} for arm in sitting.arms}
    arms, rivals = _held_against(sitting, said, read_people(sitting))
    why = next((rival.why for rival in rivals if rival.why), "")
    return revised(report, arms=arms, rivals=rivals, used=not why, why=why, decides=True)


def _judged(
    sitting: JudgeSession, arm: str, said: Mapping[int, float | None], people: Mapping[int, float]
) -> JudgedArm:
    found = calibrated(arm, said, people, sitting.settings.judge.passing, sitting.verdict.confidence, sitting.groups)
    lengths = {item: len(outcome.output) for item, outcome in sitting.outcomes[arm].items()}
    plain = {item: value or 0.0 for item, value in said.items()}
    return revised(found, length_bias=length_bias(plain, people, lengths))


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

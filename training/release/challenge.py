"""Champion and challenger: a new run against the model that is released, by the verdict's own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.measurement_report import ItemOutcome, Report, newest_report, read_report
from evaluation.outcomes import load_baseline
from evaluation.testset.clusters import clusters_of
from evaluation.verdict.paired_scores import PairedScores
from evaluation.verdict.rule import Provenance, ShipRule, Verdict, VerdictEvidence, newest_verdict, rule
from training.release.current import current_release
from training.release.releases import Release
from training.runs import RunRecord
from workspace.artefact import hashes, write_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings

CHALLENGE = "challenge.json"
CHAMPION = "released"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The verdict on the run against the release `champion`; its `baseline` is the released model's score."""

    champion: Release
    verdict: Verdict
    folder: Path

    @property
    def ruling(self) -> str:
        """`replace`, `judgement`, `keep` or `need_more_data`."""
        return {"ship": "replace", "keep_prompt": "keep"}.get(self.verdict.verdict, self.verdict.verdict)


def challenge(project: Project, settings: Settings, run: RunRecord) -> Challenge:
    """Pair the run's test items with the released model's and rule; kept in the evaluation's `challenge.json`.

    Raises Refusal where nothing is released, it is this very run, or both were not measured on the same test set by
    the same metric: then the command that measures is named.
    """
    found = current_release(project)
    if found is None:
        raise Refusal("Nothing is released yet: the verdict against the best prompt decides.", f"rung verdict {run.id}")
    champion = found[1]
    if champion.run == run.id:
        raise Refusal(f"{run.id} is what {champion.id} released: nothing to compare.", "rung status")
    folder, report, outcomes = _measured(project, run.id)
    other, theirs, released = _champion(project, champion, report)
    if [(o.item, o.expected) for o in outcomes] != [(o.item, o.expected) for o in released]:
        raise Refusal(
            f"{champion.id} and {run.id} were measured on other items.", f"rung evaluate {champion.run or ''}"
        )
    confidence = _confidence(project, run.id)
    scores = PairedScores(
        ids=tuple(str(o.item) for o in outcomes),
        tuned=tuple(o.score for o in outcomes),
        arms={CHAMPION: tuple(o.score for o in released)},
        clusters=clusters_of(project.datasets / report.dataset, settings.dataset.group_by, [o.item for o in outcomes]),
    )
    files = [folder / "report.json", folder / "outputs.jsonl", other / "report.json", other / "outputs.jsonl"]
    provenance = Provenance(
        id=report.id,
        run=run.id,
        dataset=report.dataset,
        test_sha256=report.test_sha256,
        metric=report.metric,
        baseline_report=theirs.id,
        made_from=hashes(project.root, *files, found[0] / "release.json"),
    )
    evidence = VerdictEvidence(
        chosen=CHAMPION,
        rule=ShipRule(settings.release.margin, confidence),
        provenance=provenance,
        notes=[f"Against {champion.id}, the current release."],
    )
    verdict = rule(scores, evidence)
    write_artefact(folder / CHALLENGE, verdict)
    return Challenge(champion, verdict, folder)


def _confidence(project: Project, run: str) -> float:
    """As strict as the run's own verdict: several planned runs share the chance of a false one."""
    found = newest_verdict(project, run)
    return found[1].confidence if found else ShipRule().confidence


def _measured(project: Project, run: str) -> tuple[Path, Report, list[ItemOutcome]]:
    found = newest_verdict(project, run)
    if found is None:
        raise Refusal(f"{run} is not measured yet.", f"rung evaluate {run}")
    folder, report = read_report(project, found[0].name)
    return folder, report, load_baseline(folder, report).outcomes[found[1].candidate]


def _champion(project: Project, champion: Release, against: Report) -> tuple[Path, Report, Sequence[ItemOutcome]]:
    """What the released model answered on the same test set."""
    if champion.run is None:
        found, command = _own_baseline(project, champion), "rung baseline, then rung release --to prompt"
    else:
        found = newest_report(project, "run", run=champion.run, test_sha256=against.test_sha256)
        command = f"rung evaluate {champion.run}"
    if found is None or found[1].metric != against.metric or found[1].test_sha256 != against.test_sha256:
        raise Refusal(
            f"{champion.id} was not measured on the test set of {against.id} ({against.dataset}, {against.metric}).",
            command,
        )
    folder, report = found
    outcomes = load_baseline(folder, report).outcomes
    arm = champion.arm if champion.run is None else _candidate(project, folder)
    if arm not in outcomes:
        raise Refusal(f"{report.id} holds no answers of the arm {arm}, which {champion.id} released.", command)
    return folder, report, outcomes[arm]


def _own_baseline(project: Project, champion: Release) -> tuple[Path, Report] | None:
    """The baseline that the released prompt was chosen in: a later one may have measured another text of its name.

    None where it is no longer there; raises Refusal where it changed since.
    """
    for name, digest in champion.made_from.items():
        path = project.root / name
        if path.name != "report.json" or not path.is_file():
            continue
        if sha256_file(path) != digest:
            raise Refusal(f"{name} changed since {champion.id} was released.", "rung baseline")
        return read_report(project, path.parent.name)
    return None


def _candidate(project: Project, folder: Path) -> str:
    found = newest_verdict(project, read_report(project, folder.name)[1].run)
    return found[1].candidate if found and found[0] == folder else "tuned"

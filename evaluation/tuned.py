"""The tuned model on the same frozen items, and the verdict on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.answer_file import answers_at
from chat.protocols import ChatModel
from curation.likeness.leaks.find import find_leaks
from curation.split.manifest import load_split, read_manifest
from curation.store import open_store
from curation.store.vouching import write_vouched
from evaluation.arms.prompted import TUNED, TUNED_RAG, tuned, tuned_rag
from evaluation.arms.registry import arm_name
from evaluation.baseline import (
    MeasuredArm,
    bare_report,
    given_away,
    instruction_with_pairs,
    measure_choice,
    write_choices,
)
from evaluation.bench import Bench, frozen_test, open_folder
from evaluation.choose import ArmChoice, choose
from evaluation.forgetting import NOT_MEASURED, measure_forgetting, suite
from evaluation.looks import take_place
from evaluation.measurement_report import (
    ArmResult,
    newest_report,
    scored_as,
    surest,
    write_outcomes,
)
from evaluation.outcomes import (
    Baseline,
    GivenRun,
    ServedRun,
    check_arms,
    check_asked,
    require_baseline,
    unmeasured_words,
)
from evaluation.verdict.evidence import price_of
from evaluation.verdict.pairing import Trained, evidence_for, preferred
from evaluation.verdict.rule import Training, Verdict, VerdictEvidence, rule
from workspace.artefact import read_artefact, revised
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another training of the same plan with another seed; `open` loads it."""

    run: str
    seed: int
    open: Callable[[], ChatModel]


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """Options of a measurement besides its items. `untrained` opens the model as it was before training, for the
    general suite; with `rag` the passages of documents/ are tried too, and validation says whether they count; `seed`
    is the run's own, beside those of `siblings`; `base` is what it was trained from, rung.toml's where it is empty;
    `served` where a server is asked for it, or a file holds its answers, instead of its weights here; `unchecked` is
    what nobody could check of a run made elsewhere.
    """

    untrained: Callable[[], ChatModel] | None = None
    rag: bool = False
    seed: int = 0
    siblings: Sequence[Sibling] = ()
    base: str = ""
    served: ServedRun | GivenRun | None = None
    unchecked: Sequence[str] = ()


def run_evaluation(
    bench: Bench,
    run: str,
    system_prompt: str | None,
    evidence: Sequence[Path] = (),
    ways: EvaluationOptions = EvaluationOptions(),
) -> Path:
    """Measure run `run` (the bench's model carries its adapter); writes outputs, report and last verdict.json.

    `evidence` are files that the report is made from (the run's run.json). Raises Refusal if there is no baseline
    on this very test set, or its outputs changed.
    """
    baseline = require_baseline(bench.project, bench.settings, bench.dataset.name)
    check_arms(bench.project, baseline.report)
    check_asked(bench.settings, baseline.report, ways.base, ways.served if isinstance(ways.served, ServedRun) else None)
    _keep_trainings(bench, run, ways)
    answers_at(bench.project.answers_file)
    with writer_lock(bench.project.evaluations / ".lock", "A measuring"):
        folder = open_folder(bench.project)
        wanted = {TUNED: tuned(system_prompt)}
        if ways.rag and (documents := bench.material().documents):
            wanted[TUNED_RAG] = tuned_rag(system_prompt, documents, bench.meanings)
        choices = [choose(bench, arm, False, variants) for arm, variants in wanted.items()]
        write_choices(folder, bench, choices)
        name = ways.served.name if ways.served else ""
        place = take_place(bench.project, bench.settings, bench.test_sha256, scored_as(run, name))
        measured = [measure_choice(bench, choice, bench.items) for choice in choices]
        told = [*given_away(bench, choices), *instruction_with_pairs(system_prompt or "", bench.items)]
        chosen = preferred([choice.validation for choice in choices])
        siblings = [_sibling(bench, choices[chosen], sibling) for sibling in ways.siblings]
        arms = [each.arm for each in (*measured, *siblings)]
        outcomes = [o for choice in choices for o in choice.outcomes]
        outcomes += [o for each in (*measured, *siblings) for o in each.outcomes]
        write_outcomes(folder / "outputs.jsonl", outcomes)
        notes = [*bench.judge_notes, *bench.model_notes, *told]
        report = revised(bare_report(folder, bench, "run", arms, choices, evidence), run=run, served=name, notes=notes)
        seeds = [(run, ways.seed), *((each.run, each.seed) for each in ways.siblings)] if siblings else []
        trainings = [
            Training(run=name, seed=seed, score=each.arm.score)
            for (name, seed), each in zip(seeds, (measured[chosen], *siblings), strict=False)
        ]
        others = [each.outcomes for each in siblings]
        trained = Trained(choices[chosen].arm, measured[chosen].outcomes, trainings, others)
        pairs, weighed = evidence_for(bench, baseline, report, trained, place)
        weighed = _with_the_rest(bench, ways, baseline, weighed, measured[chosen].arm, told)
        with open_store(bench.project, bench.settings) as store:
            write_vouched(store, folder / "verdict.json", rule(pairs, weighed), bench.settings.project.person)
            write_vouched(store, folder / "report.json", report, bench.settings.project.person)
    return folder


def _keep_trainings(bench: Bench, run: str, ways: EvaluationOptions) -> None:
    """Raise Refusal if this would leave out trainings that the last verdict of this run on these items counted."""
    known = newest_report(bench.project, "run", run=run, test_sha256=bench.test_sha256)
    counted = read_artefact(known[0] / "verdict.json", Verdict).trainings if known else []
    left = sorted({training.run for training in counted} - {run, *(sibling.run for sibling in ways.siblings)})
    if left:
        raise Refusal(
            f"An earlier verdict on {run} counted {len(counted)} trainings; leaving out {', '.join(left)} would hide "
            "their result.",
            f"rung evaluate {run} --seeds {len(counted)}",
        )


def _sibling(bench: Bench, choice: ArmChoice, sibling: Sibling) -> MeasuredArm:
    """Another training in the very setting and form that validation chose for the first."""
    other = replace(bench, desk=replace(bench.desk, model=sibling.open()), label_scoring=False)
    named = replace(choice, arm=f"{choice.arm}:{sibling.run}", validation=None, tries=(), outcomes=())
    return measure_choice(other, named, bench.items)


def _with_the_rest(
    bench: Bench,
    ways: EvaluationOptions,
    baseline: Baseline,
    evidence: VerdictEvidence,
    tuned_arm: ArmResult,
    told: Sequence[str],
) -> VerdictEvidence:
    """Return the evidence with the price, what is known of forgetting, and what a reader must know of the measuring."""
    source, served = evidence.provenance, ways.served
    run = str(source.run)
    prompted = next(arm for arm in baseline.report.arms if arm.arm == evidence.chosen)
    sure = surest(baseline.report.arms)
    missing = unmeasured_words(bench.project, read_manifest(bench.dataset), baseline.report)
    forgetting = None
    if ways.untrained is not None:
        limit, watch = bench.settings.evaluation.forgetting_limit, bench.watch("general suite, before and after")
        items, before = suite(bench.project.root), ways.untrained()
        forgetting = measure_forgetting(items, before, bench.desk.model, bench.desk.replies, limit, watch)
    alone = f"; of {run} alone, not of the other trainings" if forgetting and source.trainings else ""
    notes = [
        *(served.notes(run, ways.base) if served else ()),
        *(f"{run} was made elsewhere. {each}" for each in ways.unchecked),
        *evidence.notes,
        *told,
        *(
            [f"Without tuning, {arm_name(sure.arm)} answers {sure.abstention.words()}"]
            if sure and sure.abstention
            else ()
        ),
        *([f"Of the arms that this project can measure, {missing}"] if missing else ()),
        forgetting.words() + alone if forgetting else NOT_MEASURED,
    ]
    return replace(
        evidence,
        provenance=revised(source, served=served.place if served else None),
        price=price_of(bench.project, bench.settings, run, prompted, tuned_arm),
        forgetting=forgetting,
        notes=notes,
    )


def check_unseen(project: Project, settings: Settings, run: str, trained: str, tested: str) -> None:
    """Raises Refusal if rows that the run learnt from, or that chose its checkpoint, hold test items of `tested`."""
    folder, (_, test) = project.datasets / trained, frozen_test(project, tested)
    splits = read_manifest(folder).splits
    rows = [row for split in ("train", "validation") if split in splits for row in load_split(folder, split)]
    found = find_leaks(rows, test, settings.dataset.threshold)
    if found.leaked_test:
        raise Refusal(
            f"{run} was trained on {trained}, which holds {found.leaked_test} of the {len(test)} test items "
            f"of {tested}.",
            "rung plan, then rung train: a new run on the newest version",
        )

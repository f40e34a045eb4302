"""The tuned model on the same frozen items, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chat.protocols import ChatModel
from evaluation.answer_key import documents_with_pairs, instruction_with_pairs
from evaluation.arms import tuned as tuned_arm
from evaluation.arms import tuned_rag
from evaluation.arms.material import Material, Variant
from evaluation.baseline import apart, made_from, measure_choice, pair_notes, write_choices
from evaluation.bench import Bench, open_folder
from evaluation.choose import Choice, choose
from evaluation.compare import TOLERANCE
from evaluation.forgetting import NOT_MEASURED, measure_forgetting
from evaluation.general import suite
from evaluation.looks import take_place
from evaluation.measure import Item
from evaluation.outcomes import check_arms, check_asked, require_baseline
from evaluation.pairing import Trained, judge
from evaluation.price import price_of
from evaluation.report import ArmResult, Outcome, Report, newest_report, scored_as, write_outcomes
from evaluation.served import Served
from evaluation.taking_over import read_answers
from evaluation.verdict import Training, Verdict
from workspace.artefact import hashes, read_artefact, write_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.lock import writer_lock

Measured = tuple[ArmResult, list[Outcome]]
"""An arm's figures and its outcomes."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another training of the same plan with another seed; `open` loads it."""

    run: str
    seed: int
    open: Callable[[], ChatModel]


@dataclass(frozen=True, slots=True)
class Ways:
    """What a run is measured on besides its items. `untrained` opens the model as it was before training, for the
    general suite; with `rag` the passages of documents/ are tried too, and validation says whether they count; `seed`
    is the run's own, beside those of `siblings`; `base` is what it was trained from, rung.toml's where it is empty;
    `served` where a server is asked for it, in place of its weights here.
    """

    untrained: Callable[[], ChatModel] | None = None
    rag: bool = False
    seed: int = 0
    siblings: Sequence[Sibling] = ()
    base: str = ""
    served: Served | None = None


def run_evaluation(
    bench: Bench, run: str, system_prompt: str | None, evidence: Sequence[Path] = (), ways: Ways = Ways()
) -> Path:
    """Measure run `run` (the bench's model carries its adapter); writes outputs, report and last verdict.json.

    `evidence` are files that the report is made from (the run's run.json). Raises Refusal where there is no baseline
    on this very test set, or its outputs changed.
    """
    baseline = require_baseline(bench.project, bench.settings, bench.dataset.name, unsealed=bench.unsealed)
    check_arms(bench.project, baseline.report)
    check_asked(bench.settings, baseline.report, ways.base, ways.served)
    _keep_trainings(bench, run, ways)
    read_answers(bench.project)
    with writer_lock(bench.project.evaluations / ".lock", "A measuring"):
        folder = open_folder(bench.project)
        choices = [_choose(bench, arm, variants) for arm, variants in _variants(bench, system_prompt, ways.rag).items()]
        write_choices(folder, bench, choices)
        name = ways.served.name if ways.served else ""
        place = take_place(bench.project, bench.settings, bench.test_sha256, scored_as(run, name))
        measured = [measure_choice(bench, choice, bench.items) for choice in choices]
        measured, told = _given_away(bench, system_prompt, choices, measured)
        chosen = _candidate(choices)
        siblings = [_sibling(bench, choices[chosen], sibling, bench.items) for sibling in ways.siblings]
        arms = [arm for arm, _ in (*measured, *siblings)]
        outcomes = [o for choice in choices for o in choice.outcomes]
        outcomes += [o for _, found in (*measured, *siblings) for o in found]
        write_outcomes(folder / "outputs.jsonl", outcomes)
        report = _report(folder, bench, run, arms, choices, evidence, told, name)
        trained = _trained(run, ways, choices[chosen], measured[chosen], siblings)
        verdict = judge(bench, baseline, report, trained, place)
        prompted = next(arm for arm in baseline.report.arms if arm.arm == verdict.chosen)
        price = price_of(bench.project, bench.settings, run, prompted, measured[chosen][0])
        verdict = verdict.model_copy(update={"price": price, "notes": [*verdict.notes, *told]})
        verdict = ways.served.mark(verdict, ways.base) if ways.served else verdict
        write_artefact(folder / "verdict.json", _with_forgetting(bench, verdict, ways.untrained))
        write_artefact(folder / "report.json", report)
    return folder


def _keep_trainings(bench: Bench, run: str, ways: Ways) -> None:
    """Raise Refusal where this would leave out trainings that the last verdict of this run on these items counted."""
    known = newest_report(bench.project, "run", run=run, test_sha256=bench.test_sha256)
    counted = read_artefact(known[0] / "verdict.json", Verdict).trainings if known else []
    left = sorted({training.run for training in counted} - {run, *(sibling.run for sibling in ways.siblings)})
    if left:
        raise Refusal(
            f"{run} was ruled on with {len(counted)} trainings; a verdict without {', '.join(left)} would hide what "
            "they showed.",
            f"rung evaluate {run} --seeds {len(counted)}",
        )


def _variants(bench: Bench, system_prompt: str | None, rag: bool) -> dict[str, list[Variant]]:
    found = {tuned_arm.NAME: tuned_arm.variants(system_prompt)}
    documents = bench.material().documents if rag else ()
    if documents:
        found[tuned_rag.NAME] = tuned_rag.variants(system_prompt, documents, bench.meanings)
    return found


def _choose(bench: Bench, arm: str, variants: Sequence[Variant]) -> Choice:
    return choose(arm, False, variants, bench.choosing, bench.desk, bench.watch)


def _candidate(choices: Sequence[Choice]) -> int:
    """Place of the way that validation prefers; the plain one where it cannot tell."""
    plain, *others = choices
    best = [
        i
        for i, choice in enumerate(others, 1)
        if choice.validation is not None and choice.validation > (plain.validation or 0.0) + TOLERANCE
    ]
    return best[0] if best else 0


def _given_away(
    bench: Bench, system_prompt: str | None, choices: Sequence[Choice], measured: Sequence[Measured]
) -> tuple[list[Measured], list[str]]:
    """Each arm, with its score without passages that hold test answers beside it; and a note where there are some."""
    reads = any(choice.variant.shown is not None for choice in choices)
    pairs = documents_with_pairs(bench.material().documents, bench.items) if reads else frozenset()

    def ways(material: Material) -> list[Variant]:
        return tuned_rag.variants(system_prompt, material.documents, bench.meanings)

    found = [(apart(bench, c, arm, ways, pairs), o) for c, (arm, o) in zip(choices, measured, strict=True)]
    return found, [*pair_notes(pairs), *instruction_with_pairs(system_prompt or "", bench.items)]


def _sibling(bench: Bench, choice: Choice, sibling: Sibling, items: Sequence[Item]) -> tuple[ArmResult, list[Outcome]]:
    """Another training in the very setting and form that validation chose for the first."""
    other = replace(bench, desk=replace(bench.desk, model=sibling.open()), label_scoring=False)
    named = replace(choice, arm=f"{choice.arm}:{sibling.run}", validation=None, tries=(), outcomes=())
    return measure_choice(other, named, items)


def _trained(
    run: str,
    ways: Ways,
    choice: Choice,
    first: tuple[ArmResult, list[Outcome]],
    siblings: Sequence[tuple[ArmResult, list[Outcome]]],
) -> Trained:
    def chosen(found: Sequence[Outcome]) -> list[Outcome]:
        return [o for o in found if o.form == choice.form]

    trainings = [Training(run=run, seed=ways.seed, score=first[0].score)] if siblings else []
    trainings += [
        Training(run=sibling.run, seed=sibling.seed, score=arm.score)
        for sibling, (arm, _) in zip(ways.siblings, siblings, strict=True)
    ]
    return Trained(choice.arm, chosen(first[1]), trainings, [chosen(found) for _, found in siblings])


def _with_forgetting(bench: Bench, verdict: Verdict, untrained: Callable[[], ChatModel] | None) -> Verdict:
    """The verdict that names what is known of forgetting."""
    if untrained is None:
        return verdict.model_copy(update={"notes": [*verdict.notes, NOT_MEASURED]})
    limit, watch = bench.settings.evaluation.forgetting_limit, bench.watch("general suite, before and after")
    items = suite(bench.project.root)
    found = measure_forgetting(items, untrained(), bench.desk.model, bench.desk.replies, limit, watch)
    alone = f"; of {verdict.run} alone, not of the other trainings" if verdict.trainings else ""
    return verdict.model_copy(update={"forgetting": found, "notes": [*verdict.notes, found.words() + alone]})


def _report(
    folder: Path,
    bench: Bench,
    run: str,
    arms: Sequence[ArmResult],
    choices: Sequence[Choice],
    evidence: Sequence[Path],
    told: Sequence[str],
    served: str,
) -> Report:
    return Report(
        id=folder.name,
        kind="run",
        run=run,
        served=served,
        made_from={**made_from(bench, folder, choices), **hashes(bench.project.root, *evidence)},
        dataset=bench.dataset.name,
        test_sha256=bench.test_sha256,
        model=bench.desk.model.name,
        metric=bench.desk.metric.spec,
        judge=bench.judge.name if bench.judge and bench.desk.metric.judged else None,
        n=arms[0].n,
        arms=list(arms),
        outputs_sha256=sha256_file(folder / "outputs.jsonl"),
        notes=[*bench.sealed_notes, *told],
        rows_from=bench.rows_notes,
    )

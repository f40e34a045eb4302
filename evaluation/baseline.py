"""The ladder, measured: every arm chosen on validation rows, then answered once on the frozen test items.

Test answers are used deliberately in one way: only after choosing, to count and to warn where a prompt or a document
gives some away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from curation.store import open_store
from curation.store.vouching import write_vouched
from evaluation.arms.arm_material import PromptVersion, keep_versions
from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.optimising import keep_proposals, optimise
from evaluation.arms.own import OWN
from evaluation.arms.prompted import OPTIMISED
from evaluation.arms.registry import ARMS as KNOWN
from evaluation.arms.registry import CASCADE, Arm, on_the_ladder
from evaluation.bench import Bench, mark_choosing, open_folder
from evaluation.choose import ArmChoice, Choices, ChosenArm, best_prompted, choose
from evaluation.judge.model_judge import RUBRIC_FILE
from evaluation.measure import (
    EvalItem,
    Split,
    calibration,
    mean_score,
    measure,
    perplexities,
    result,
    retrieval_recall,
    shared_beginning,
    sure_answers,
    told_answers,
    why_unmeasured,
)
from evaluation.measured_answers import is_enough, judge_rungs, smallest_difference
from evaluation.measurement_report import (
    SURE,
    ArmResult,
    ItemOutcome,
    Report,
    SureAnswer,
    SureSplits,
    threshold,
    write_outcomes,
    write_sure,
)
from evaluation.outcomes import asked_with
from evaluation.retrieval import Bm25, Passage, holds, holds_pair, words
from evaluation.reuse import ReusedArm, ReusedArms, join_earlier, stands_on
from evaluation.verdict.intervals import TOLERANCE
from workspace.artefact import hashes, revised, write_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.lock import writer_lock
from workspace.trust import ARMS, codes

INSTRUCTING = ("base", "prompt")
"""Arms whose instruction those above are tried with."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Standard for the ladder: the goal (0..1), and the effort that went into the prompts."""

    goal: float | None = None
    days: float | None = None
    vouched_by: str = ""
    reason: str = ""


class MeasuredArm(NamedTuple):
    """An arm on the test items: its figures, its outcomes, and its answers with probabilities."""

    arm: ArmResult
    outcomes: list[ItemOutcome]
    sure: SureSplits


def run_baseline(bench: Bench, arms: Sequence[Arm], aim: Aim = Aim()) -> tuple[Path, Report]:
    """Choose, then measure `arms`; writes choices.json, outputs.jsonl and last report.json.

    Other arms that an earlier baseline measured on the very same are reused as they are. Killed and called again it
    goes on where it was. Raises Refusal if another measuring runs here, or none of the arms can be measured.
    """
    with writer_lock(bench.project.evaluations / ".lock", "A measuring"):
        folder = open_folder(bench.project)
        joined = join_earlier(bench, [arm.name for arm in arms])
        asked = [arm for arm in arms if arm.name != CASCADE]
        chosen, notes = choose_all(bench, asked, joined.choices) if asked or not joined.taken else ([], [])
        keep_proposals(bench.project, [c.variant.prompt for c in chosen if c.arm == OPTIMISED and c.variant.prompt])
        keep_versions(bench.project)
        choices = write_choices(folder, bench, in_order([*chosen, *joined.choices]))
        by_all = any(choice.variant.predict for choice in chosen)  # an arm that asks no model chooses on all rows
        ids = bench.rows.validation_ids if by_all else choices.validation_rows
        mark_choosing(bench.project, bench.settings, ids)
        return folder, _measure_all(folder, bench, chosen, [*notes, *joined.notes], aim, joined)


def in_order(choices: Sequence[ArmChoice]) -> list[ArmChoice]:
    """Sort the choices in the order of the ladder."""
    known = {choice.arm: choice for choice in choices}
    return [known[name] for name in on_the_ladder(known)]


def choose_all(bench: Bench, arms: Sequence[Arm], known: Sequence[ArmChoice] = ()) -> tuple[list[ArmChoice], list[str]]:
    """Return each arm's choice, in the order of the ladder, and a note for each arm that could not be measured.

    The prompt is chosen first: the arms above it are tried with it, or with that of `known`, which earlier ones chose.
    Without rows only base and prompt can be measured.
    """
    material, made, notes = bench.material(), [], []
    below = [choice for choice in known if choice.arm in INSTRUCTING]
    if below:
        material = material.knowing(*instructions(below))
    for arm in sorted(arms, key=lambda arm: (arm.name != "base", arm.name != "prompt")):
        if arm.name == OPTIMISED:
            watch = bench.watch(f"{OPTIMISED}, rewriting the prompt")
            written = optimise(bench.project, material, bench.desk, bench.writer, bench.choosing, watch)
            material = replace(material, proposals=written)
        variants = arm.variants(material)
        if not variants:
            notes.append(f"{arm.name} was not measured: it needs {arm.needs}.")
            continue
        made.append(choose(bench, arm.name, arm.prompted, variants))
        if arm.name in INSTRUCTING:
            material = material.knowing(*instructions([*made, *below]))
    if not made:
        raise Refusal("None of these arms can be measured. " + " ".join(notes), "rung baseline --arms base,prompt")
    return in_order(made), notes


def instructions(made: Sequence[ArmChoice]) -> list[PromptVersion | None]:
    """Return the instructions for the arms above `prompt`: the bare one, and the best prompt if it did better.

    Unmeasured, the prompt alone.
    """
    by_arm = {choice.arm: choice for choice in made}
    base, prompt = by_arm.get("base"), by_arm.get("prompt")
    if base is None or prompt is None:
        return [choice.variant.prompt for choice in made]
    if prompt.validation is None or base.validation is None:
        return [prompt.variant.prompt]
    better = prompt.validation > base.validation + TOLERANCE
    return [base.variant.prompt, prompt.variant.prompt] if better else [base.variant.prompt]


def write_choices(folder: Path, bench: Bench, chosen: Sequence[ArmChoice]) -> Choices:
    """Record what validation chose, before the test items are answered."""
    ids = bench.rows.validation_ids
    choices = Choices(
        made_from=hashes(bench.project.root, bench.dataset / "manifest.json"),
        metric=bench.settings.evaluation.scored_by,
        test_sha256=bench.test_sha256,
        validation_items=len(bench.choosing),
        validation_rows=[ids[item.line - 1] for item in bench.choosing] if ids else [],
        chosen=best_prompted(chosen),
        arms=[
            ChosenArm(
                arm=c.arm, settings=dict(c.variant.settings), form=c.form, validation=c.validation, tries=[*c.tries]
            )
            for c in chosen
        ],
    )
    write_artefact(folder / "choices.json", choices)
    return choices


def _ladder(
    bench: Bench, chosen: Sequence[ArmChoice], joined: ReusedArms
) -> tuple[list[ArmResult], list[ItemOutcome], dict[str, SureSplits]]:
    """Return every arm's result in the order of the ladder, all outcomes, and by arm the answers with probabilities:
    of the chosen arms, the reused ones, and the cascade where it is wanted.
    """
    measured = [measure_choice(bench, choice, bench.items) for choice in chosen]
    found: list[MeasuredArm | ReusedArm] = [*measured, *joined.taken]
    outcomes = [o for choice in chosen for o in choice.outcomes] + [o for each in found for o in each.outcomes]
    sure = {each.arm.arm: each.sure for each in found if each.sure.test}
    results = [each.arm for each in found]
    if joined.cascades and (both := cascade(bench, in_order([*chosen, *joined.choices]), outcomes, sure)):
        results.append(both[0])
        outcomes += both[1]
    by_arm = {arm.arm: arm for arm in results}
    return [by_arm[name] for name in on_the_ladder(by_arm)], outcomes, sure


def cascade(
    bench: Bench, chosen: Sequence[ArmChoice], outcomes: Sequence[ItemOutcome], sure: Mapping[str, SureSplits]
) -> tuple[ArmResult, list[ItemOutcome]] | None:
    """Return the arm of a classifier where it is sure, from the probability on that validation chose for the wanted
    precision, and of the best prompt elsewhere (Chen, Zaharia and Zou 2023: FrugalGPT). Nothing is asked for it.

    The classifier is the one that validation prefers among `chosen`, whose outcomes these are; None if it or a
    prompted arm is missing or no threshold reaches the precision.
    """
    known = {choice.arm: choice for choice in chosen if not choice.unmeasured and choice.validation is not None}
    first = max(
        (known[arm] for arm in CLASSIFIERS if arm in known and arm in sure),
        key=lambda choice: choice.validation or 0.0,
        default=None,
    )
    then = known.get(best_prompted(chosen) or "")
    at = threshold(sure[first.arm].held, bench.settings.evaluation.precision) if first else None
    if first is None or then is None or at is None:
        return None
    both = {
        arm.arm: {(o.split, o.item): o for o in outcomes if (o.arm, o.form) == (arm.arm, arm.form)}
        for arm in (first, then)
    }
    answers: dict[Split, Sequence[SureAnswer]] = {"validation": sure[first.arm].held, "test": sure[first.arm].test}
    found = []
    for split, each in answers.items():
        for answer in each:
            classed, asked = (both[arm.arm].get((split, answer.item)) for arm in (first, then))
            if classed is None or asked is None:
                continue
            if answer.sure >= at:
                found.append(revised(classed, arm=CASCADE, form=then.form))
            else:  # the classifier was asked in vain
                found.append(revised(asked, arm=CASCADE, seconds=classed.seconds + asked.seconds))
    by_split = {split: list(each) for split, each in groupby(found, key=lambda outcome: outcome.split)}
    validation = mean_score(by_split.get("validation", []))
    settings = {"first": first.arm, "from": at, "then": then.arm, "prompt": then.variant.settings.get("prompt")}
    figures = result(by_split["test"], False, bench.closed, bench.groups)
    forms = {then.form: figures.score}
    return revised(figures, validation=validation, settings=settings, forms=forms), found


def _measure_all(
    folder: Path, bench: Bench, chosen: Sequence[ArmChoice], notes: Sequence[str], aim: Aim, joined: ReusedArms
) -> Report:
    items, whole = bench.items, in_order([*chosen, *joined.choices])
    versions = len(bench.material().prompts)
    results, outcomes, sure = _ladder(bench, chosen, joined)
    lacking = joined.cascades and all(arm.arm != CASCADE for arm in results)
    told = [
        *notes,
        *([f"{CASCADE} was not measured: it needs {KNOWN[CASCADE].needs}."] if lacking else []),
        *outside_set(items, bench.desk.choices),
        *prompts_with_pairs(list(dict.fromkeys(c.variant.prompt for c in whole if c.variant.prompt)), items),
        *given_away(bench, whole),
        *([f'{aim.vouched_by} confirms that the prompts are final: "{aim.reason}"'] if aim.vouched_by else []),
        *bench.judge_notes,
        *bench.model_notes,
    ]
    write_outcomes(folder / "outputs.jsonl", outcomes)
    kept = write_sure(folder / SURE, sure)
    report = revised(
        bare_report(folder, bench, "baseline", results, whole, [*joined.sources, *kept]),
        goal=aim.goal,
        chosen=best_prompted(whole),
        notes=told,
        rows_from=[*bench.rows_notes, *joined.told],
        stands_on=stands_on(bench),
        asked_with=asked_with(bench.settings),
        smallest_difference=smallest_difference(results, outcomes, bench.groups),
        versions=versions,
        vouched_by=aim.vouched_by,
        judged=judge_rungs(results, aim.goal, is_enough(versions, aim.days, aim.vouched_by)),
    )
    with open_store(bench.project, bench.settings) as store:
        on = {"arms": [arm.arm for arm in results], "test": report.test_sha256, "metric": report.metric}
        return write_vouched(store, folder / "report.json", report, bench.settings.project.person, **on)


def bare_report(
    folder: Path,
    bench: Bench,
    kind: Literal["baseline", "run"],
    arms: Sequence[ArmResult],
    choices: Sequence[ArmChoice],
    sources: Sequence[Path],
) -> Report:
    """Return the report of arms whose outcomes are written. `sources` are files behind it, beside manifest, choices,
    outputs, each prompt that was tried, and code of the project.
    """
    root, prompts, metric = bench.project.root, bench.project.prompts, bench.desk.metric
    names = {c.variant.prompt.name for c in choices if c.variant.prompt} & {p.name for p in prompts.glob("*.md")}
    files = [bench.dataset / "manifest.json", folder / "choices.json", folder / "outputs.jsonl"]
    files += [metric.file] if metric.file else []
    files += [path for path in codes(root, ARMS) if any(c.arm == f"{OWN}{path.stem}" for c in choices)]
    files += [root / RUBRIC_FILE] if metric.judged else []
    files += [prompts / name for name in sorted(names)]
    return Report(
        id=folder.name,
        kind=kind,
        made_from=hashes(root, *files, *sources),
        dataset=bench.dataset.name,
        test_sha256=bench.test_sha256,
        model=bench.desk.model.name,
        metric=bench.settings.evaluation.scored_by,
        judge=bench.judge.name if bench.judge and bench.desk.metric.judged else None,
        n=arms[0].n,
        arms=list(arms),
        outputs_sha256=sha256_file(folder / "outputs.jsonl"),
        rows_from=bench.rows_notes,
    )


def measure_choice(bench: Bench, choice: ArmChoice, items: Sequence[EvalItem]) -> MeasuredArm:
    """Return an arm on the test items in the form that validation chose."""
    desk, variant = bench.desk_of(choice.arm), choice.variant
    watch = bench.watch(f"{choice.arm}, {choice.form}")
    found = measure(choice.arm, variant, (choice.form,), items, "test", desk, watch)[choice.form]
    figures = result(found, choice.prompted, bench.closed, bench.groups)
    extra = {**figures.extra, **retrieval_recall(variant, items)}
    if choice.arm in ("base", "tuned"):
        extra |= perplexities(variant, items, desk)
    sure = SureSplits()
    if variant.sure or bench.label_scoring:
        told = bench.watch(f"{choice.arm}, scoring each answer")
        on_test = sure_answers(variant, items, desk, told)
        extra |= calibration(on_test, by_labels=variant.sure is None)
        rows = bench.validating if variant.sure else bench.choosing
        sure = SureSplits(sure_answers(variant, rows, desk, told), on_test)
    elif bench.closed and (on_test := told_answers(found)):
        extra |= calibration(on_test, by_labels=False)
        sure = SureSplits(told_answers([o for o in choice.outcomes if o.form == choice.form]), on_test)
    lost = why_unmeasured(found, desk)
    arm = revised(
        figures,
        unmeasured=lost or (choice.unmeasured and f"{choice.unmeasured} on validation"),
        forms={choice.form: figures.score},
        shared=shared_beginning(variant, items, desk),
        validation=choice.validation,
        validation_forms=choice.validation_forms,
        tries=max(1, len(choice.tries)),
        settings=dict(variant.settings),
        search=list(variant.prompt.search) if variant.prompt and choice.arm == OPTIMISED else [],
        extra=extra,
        abstention=bench.where_sure(sure, figures),
    )
    return MeasuredArm(arm, found, sure)


def given_away(bench: Bench, choices: Sequence[ArmChoice]) -> list[str]:
    """Return a note where passages that these arms read give test answers away."""
    reads = any("passages" in choice.variant.settings for choice in choices)
    held = documents_with_pairs(bench.material().documents, bench.items) if reads else ()
    what = "passages of documents/ hold a test question with its answer: arms that read them are not fairly measured."
    return [f"{len(held)} {what}"] if held else []


FEWEST_WORDS = 4
"""A shorter question may be in any prompt by chance."""


def documents_with_pairs(documents: Sequence[Passage], items: Sequence[EvalItem]) -> frozenset[str]:
    """Ids of the passages that hold some test question together with its answer, or, for a question of four words or
    more, right before it: in a list of questions the answer is a paragraph of its own.
    """
    index = Bm25(documents)
    after = {one.id: two for one, two in pairwise(documents) if one.file == two.file}
    found: set[str] = set()
    for item in items:
        for chunk in index.search(item.question, 20):
            found.update(_holding(chunk, after.get(chunk.id), item))
    return frozenset(found)


def _holding(chunk: Passage, after: Passage | None, item: EvalItem) -> tuple[str, ...]:
    if holds_pair(chunk.text, item.question, item.expected):
        return (chunk.id,)
    if after is None or len(words(item.question)) < FEWEST_WORDS or not holds(chunk.text, item.question):
        return ()
    return (chunk.id, after.id) if holds(after.text, item.expected) else ()


def prompts_with_pairs(prompts: Sequence[PromptVersion], items: Sequence[EvalItem]) -> list[str]:
    """Return a note for each prompt file in which a test question of four words or more is next to its answer."""
    held = [(prompt.name, _pairs_in(prompt.text, items)) for prompt in prompts]
    return [f"prompts/{name} holds {told}: arms that use it are not fairly measured." for name, told in held if told]


def instruction_with_pairs(text: str, items: Sequence[EvalItem]) -> list[str]:
    """Return the same of the instruction that a run was trained with."""
    told = _pairs_in(text, items)
    return [f"The run's own instruction holds {told}: it is not fairly measured."] if told else []


def _pairs_in(text: str, items: Sequence[EvalItem]) -> str:
    asked = [item for item in items if len(words(item.question)) >= FEWEST_WORDS]
    held = sum(holds_pair(text, item.question, item.expected) for item in asked)
    return f"{held} test {'question' if held == 1 else 'questions'} with the answer" if held else ""


def outside_set(items: Sequence[EvalItem], choices: Sequence[str]) -> list[str]:
    """Return a note where some test answers are not in the closed set: held to it, nobody can get those right."""
    missing = sum(item.expected.strip() not in set(choices) for item in items) if choices else 0
    if not missing:
        return []
    return [f"{missing} of {len(items)} test answers are not in the list of {len(choices)} possible answers."]

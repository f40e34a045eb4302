"""`rung evaluate`: the tuned model on the baseline's items, what the items can show, and people's blind comparison."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import BATCH, BUDGET, LABELS, OVERRIDE, By, Json, Reason, Unmask, at_most_one, goes_with
from rung.cli.output import show
from rung.cli.raters import compare_blind
from rung.status.following import RELABELLED
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.settings import opened_project

if TYPE_CHECKING:
    from chat.privacy import Override
    from chat.protocols import ChatModel
    from evaluation.outcomes import ServedRun
    from evaluation.tuned import EvaluationOptions, Sibling
    from evaluation.verdict.rule import Verdict
    from training.runs import RunRecord
    from workspace.folder import Project
    from workspace.settings import Settings


RAG = Annotated[
    bool, typer.Option("--rag", help="Also evaluate with retrieval; validation decides which variant counts.")
]
SEEDS = Annotated[int, typer.Option(min=1, help="Number of training runs (different seeds) pooled into one verdict.")]
SERVED = Annotated[str, typer.Option(help="Ask [model] base_url for the run by this name (vLLM's --lora-modules).")]
OUTPUTS = Annotated[
    Path | None,
    typer.Option(help='Score answers made elsewhere: JSONL of {"item": line of test.jsonl, "output"}.'),
]
FORGETTING = Annotated[
    bool, typer.Option("--forgetting", help="Also measure general skills before and after training.")
]


@dataclass(frozen=True, slots=True)
class Wishes:
    """Options besides the run; `dataset` is the version whose test items are used, `outputs` a file of answers."""

    label_scoring: bool
    budget_usd: float | None
    dataset: str
    outputs: Path | None = None
    batch: bool = False


def evaluate(
    run: Annotated[str | None, typer.Argument(help="Run, e.g. R-001 (default: the newest finished one).")] = None,
    dataset: Annotated[str, typer.Option(help="Version with fresh test items (default: the run's own).")] = "",
    power: Annotated[bool, typer.Option("--power", help="Show the statistical power of this test set.")] = False,
    label_scoring: LABELS = False,
    rag: RAG = False,
    seeds: SEEDS = 1,
    served: SERVED = "",
    outputs: OUTPUTS = None,
    forgetting: FORGETTING = False,
    recheck: Annotated[
        str, typer.Option(help="Send test labels to a blind second review: a number of random rows, or all.")
    ] = "",
    human: Annotated[bool, typer.Option("--human", help="Let people compare outputs, blind.")] = False,
    rater: Annotated[str, typer.Option(help="With --human: name of the rater (default: rung.toml's person).")] = "",
    items: Annotated[int, typer.Option(min=10, help="With --human: number of items for each rival.")] = 50,
    sheet: Annotated[Path | None, typer.Option(help="With --human: write a sheet to fill in offline.")] = None,
    answers: Annotated[list[Path] | None, typer.Option(help="With --human: read a filled sheet.")] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="With --human: end the comparison and reveal the authors.")
    ] = False,
    unmask: Unmask = False,
    budget_usd: BUDGET = None,
    batch: BATCH = False,
    override: OVERRIDE = "",
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Measure the tuned model on the baseline's test items and compute the verdict."""
    from evaluation.outcomes import GivenRun
    from evaluation.tuned import EvaluationOptions
    from rung.cli.models import finished_run, open_base, open_untrained, overridden

    at_most_one({"--power": power, "--human": human, "--recheck": recheck, "--served": served, "--outputs": outputs})
    asked = {"--seeds": seeds > 1, "--rag": rag, "--forgetting": forgetting, "--label-scoring": label_scoring}
    for option in asked:
        at_most_one({"--outputs": outputs, option: asked[option]})
    at_most_one({"--batch": batch, "--budget-usd": budget_usd is not None})
    of_people = {"--rater": rater, "--sheet": sheet, "--answers": answers, "--reveal": reveal, "--unmask": unmask}
    goes_with("--human", human, "rung evaluate --human", of_people)
    project, settings = opened_project()
    if power:
        return _power(project, settings, seeds, as_json)
    if human:
        return compare_blind(project, settings, run, rater, items, sheet, answers or [], reveal, unmask, as_json)
    if recheck:
        return _recheck(project, settings, recheck, as_json)
    record = finished_run(project, run)
    served = served or ("" if outputs else _adopted_as(record, settings))
    there = GivenRun(outputs.name) if outputs else _served(settings, served, seeds) if served else None
    seed, siblings = _trainings(project, settings, record, seeds)
    allowed = overridden(project, settings, override, by, reason, "evaluate")  # logged after all checks
    untrained = partial(open_untrained, project, settings, record)
    if there is not None:  # the server has the model as it was before training
        untrained = partial(open_base, project, settings, override=allowed)
    unchecked = record.adopted.unchecked if record.adopted else ()
    ways = EvaluationOptions(untrained if forgetting else None, rag, seed, siblings, record.base, there, unchecked)
    wishes = Wishes(label_scoring, budget_usd, dataset or record.dataset, outputs, batch)
    return _show(project, _measure(project, settings, record, ways, allowed, wishes), as_json)


def _adopted_as(record: RunRecord, settings: Settings) -> str:
    """Return the name on a server of a run that was adopted from there; empty for runs with weights here.

    Raises Refusal if `[model]` asks another server than the one it was adopted from.
    """
    from chat.open import own_server

    if record.adopted is None or not record.adopted.served:
        return ""
    if own_server(settings.model) != record.adopted.host:
        told = f"{record.id} is {record.adopted.source}, and rung.toml asks {own_server(settings.model)}."
        raise Refusal(told, f"[model] base_url of {record.adopted.host}, then rung baseline")
    return record.adopted.served


def _served(settings: Settings, name: str, seeds: int) -> ServedRun:
    """Return the server of the run under this name. Raises before anything is opened if it cannot be asked."""
    from chat.open import own_server
    from evaluation.outcomes import ServedRun as There

    if seeds > 1:
        raise RungError(
            "--seeds and --served cannot be combined: a server answers for one run.",
            "rung evaluate --seeds N on the machine that has the weights",
            where="--served",
        )
    host, base = own_server(settings.model), settings.model.base
    if name == base:
        raise Refusal(f"--served {name} is the base model, not the tuned one.", "--served NAME", where="--served")
    return There(name, host, base)


def _measure(
    project: Project,
    settings: Settings,
    record: RunRecord,
    ways: EvaluationOptions,
    override: Override | None,
    wishes: Wishes,
) -> Verdict:
    from evaluation.bench import open_bench
    from evaluation.outcomes import GivenAnswers, ServedRun, check_arms, check_asked, require_baseline, with_given
    from evaluation.tuned import check_unseen, run_evaluation
    from evaluation.verdict.rule import newest_verdict
    from rung.cli.models import by_batches, open_judge, open_meanings, open_served, open_tuned, watch
    from rung.report.evaluation import write_page

    elsewhere = wishes.dataset != record.dataset
    if elsewhere:
        check_unseen(project, settings, record.id, record.dataset, wishes.dataset)
    baseline = require_baseline(project, settings, wishes.dataset).report
    check_arms(project, baseline)
    by_name = ways.served if isinstance(ways.served, ServedRun) else None
    check_asked(settings, baseline, record.base, by_name)
    model: ChatModel
    if wishes.outputs is not None:
        model = GivenAnswers(wishes.outputs, {})
    elif by_name is not None:
        model = open_served(project, settings, record, by_name, override, ways.untrained is not None)
    else:
        model = open_tuned(project, settings, record)
    judge = open_judge(project, settings, override) if settings.evaluation.metric == "judge" else None
    if wishes.batch:
        model, judge = by_batches(project, model, judge)
    if wishes.batch and by_name is not None and (untrained := ways.untrained):
        ways = replace(ways, untrained=lambda: by_batches(project, untrained())[0])
    bench = open_bench(
        project,
        settings,
        model,
        dataset=wishes.dataset,
        rows_of=record.dataset if elsewhere else None,
        watch=watch,
        label_scoring=wishes.label_scoring,
        judge=judge,
        budget_usd=wishes.budget_usd,
        embedder=open_meanings(settings) if ways.rag else None,
    )
    bench = with_given(bench, wishes.outputs) if wishes.outputs else bench
    evidence = [project.runs / record.id / "run.json"]
    folder = run_evaluation(bench, record.id, record.system_prompt, evidence, ways)
    write_page(project, folder)
    found = newest_verdict(project, record.id)
    assert found is not None
    return found[1]


def _trainings(project: Project, settings: Settings, record: RunRecord, wanted: int) -> tuple[int, list[Sibling]]:
    """Return the run's seed, and the other finished runs of the same recipe with other seeds, as many as wanted.

    Raises Refusal if there are fewer, with the command that trains another.
    """
    from evaluation.tuned import Sibling as Other
    from rung.cli.models import check_weights, open_tuned
    from training.runs import read_runs

    own, seed = _recipe(project, record)
    found: dict[int, RunRecord] = {}
    for other in read_runs(project) if wanted > 1 else []:
        recipe, other_seed = _recipe(project, other)
        if (
            other.adopted is None
            and other.state == "finished"
            and other.dataset == record.dataset
            and recipe == own
            and other_seed != seed
        ):
            found[other_seed] = other
    if len(found) < wanted - 1:
        used = {seed, *found}
        free = next(n for n in range(len(used) + 1) if n not in used)
        raise Refusal(
            f"--seeds {wanted}: only {counted(len(found) + 1, 'finished run')} of this recipe with different seeds.",
            f"RUNG_TRAINING__SEED={free} rung plan, then rung train",
        )
    chosen = sorted(found.items())[: wanted - 1]
    for _, other in chosen:
        check_weights(project, other)
    return seed, [Other(r.id, n, lambda r=r: open_tuned(project, settings, r)) for n, r in chosen]  # type: ignore[misc]


def _recipe(project: Project, record: RunRecord) -> tuple[dict[str, object], int]:
    """Return the run's recipe without its seed, and the seed; an empty one where its plan cannot be read."""
    try:
        recipe = tomllib.loads((project.runs / record.id / "plan.toml").read_text())["recipe"]
    except (OSError, ValueError, KeyError):
        return {"run": record.id}, 0
    return {key: value for key, value in recipe.items() if key != "seed"}, int(recipe.get("seed", 0))


def _show(project: Project, result: Verdict, as_json: bool) -> None:
    from rung.status.stages import after_verdict
    from rung.text.verdict_text import title_lines

    report = f"Report: {project.evaluations.name}/{result.id}/report.html      In full: rung verdict {result.run}"
    lines = [*title_lines(result), report, "", f"Next: {after_verdict(result).command}"]
    show(as_json, result.model_dump(mode="json"), lines)


def _power(project: Project, settings: Settings, seeds: int, as_json: bool) -> None:
    from curation.split.manifest import read_manifest
    from evaluation.bench import clusters_of, frozen_test
    from evaluation.looks import standing
    from evaluation.measure import items_of
    from evaluation.verdict.compare import power_of
    from rung.text.power_text import lines

    folder, test = frozen_test(project)
    plan = standing(project, settings, read_manifest(folder).splits["test"].sha256)
    items = items_of(test, settings.evaluation.turns)
    groups = clusters_of(folder, settings.dataset.group_by, [item.line for item in items])
    table = power_of(len(items), settings.evaluation.margin, plan.confidence, groups, seeds)
    show(as_json, asdict(table), lines(table))


def _recheck(project: Project, settings: Settings, wanted: str, as_json: bool) -> None:
    from evaluation.looks import recheck_labels

    found = recheck_labels(project, settings, wanted)
    lines = (
        f"{found.rows} of {found.of} test rows are queued for a second review. Earlier decisions are hidden.",
        "Correct only these rows: rows picked by their result would favour one arm.",
        "",
        f"Next: {RELABELLED}",
    )
    show(as_json, asdict(found), lines)

"""Raters of outputs: a model that people check (`rung judge`), people who compare blind (`evaluate --human`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import BATCH, BUDGET, OVERRIDE, By, Json, Reason, Unmask, at_most_one, goes_with
from rung.cli.output import note, show
from rung.status.following import CHOICES, LABEL_SHEET, LABELS, PAIR_SHEET, after, after_grading
from workspace.counted import counted
from workspace.errors import RungError
from workspace.files import check_sheet, write_text
from workspace.settings import opened_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.judge.assessment import JudgeSession
    from evaluation.people_comparison import BlindComparison
    from workspace.folder import Project
    from workspace.settings import Settings


def judge(
    run: Annotated[str | None, typer.Argument(help="Run with a verdict, e.g. R-001 (default: the newest).")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a sheet of outputs to label: random items, no arm names.")
    ] = None,
    answers: Annotated[list[Path] | None, typer.Option(help="Read a filled sheet.")] = None,
    rater: Annotated[str, typer.Option(help="With --answers: name of the rater (default: rung.toml's person).")] = "",
    items: Annotated[int, typer.Option(min=10, help="With --sheet: number of items for each arm.")] = 160,
    unmask: Unmask = False,
    budget_usd: BUDGET = None,
    batch: BATCH = False,
    override: OVERRIDE = "",
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Grade outputs with a model, by judge.md. Its grades count only as far as they agree with human labels."""
    from curation.store import open_store
    from curation.store.vouching import write_vouched
    from evaluation.ask import Replies
    from evaluation.judge.assessment import judge_run, open_sitting
    from evaluation.verdict.rule import with_judge
    from rung.cli.models import by_batches, open_judge, overridden, watch
    from rung.report.evaluation import write_page
    from rung.text.evaluation_text import judge_lines
    from workspace.artefact import write_artefact

    at_most_one({"--sheet": sheet, "--answers": answers})
    at_most_one({"--batch": batch, "--budget-usd": budget_usd is not None})
    check_sheet(sheet)
    goes_with("--answers", answers, "rung judge --answers FILE", {"--rater": rater})
    goes_with("--sheet", sheet, "rung judge --sheet FILE", {"--unmask": unmask})
    project, settings = opened_project()
    sitting = open_sitting(project, settings, run)
    if sheet is not None:
        return _write_sheet(sitting, sheet, items, unmask, as_json)
    if answers:
        return _take(sitting, answers, rater.strip() or settings.project.person, as_json)
    allowed = overridden(project, settings, override, by, reason, "judge")
    model = open_judge(project, settings, allowed)
    if batch:
        (model,) = by_batches(project, model)
    replies = Replies(project.evaluations / ".partial" / "replies.jsonl", budget_usd)
    report = judge_run(sitting, model, replies, watch)
    for told in replies.unanswered(model):
        note(f"! {told}")
    sitting.folder.mkdir(exist_ok=True)
    write_artefact(sitting.folder / "judge.json", report)
    with open_store(project, settings) as store:
        ruled = with_judge(sitting.verdict, report)
        write_vouched(store, sitting.folder.parent / "verdict.json", ruled, settings.project.person)
    write_page(project, sitting.folder.parent)
    page = f"Report: {project.relative(sitting.folder.parent)}/report.html"
    step = after_grading(report.run, checked=report.used or bool(report.raters))
    show(as_json, report.model_dump(mode="json"), [*judge_lines(report), page, "", f"Next: {step}"])
    return None


def _write_sheet(sitting: JudgeSession, path: Path, items: int, unmask: bool, as_json: bool) -> None:
    from evaluation.judge.assessment import FOLDER, labels
    from evaluation.people_comparison import log_shown

    run = sitting.verdict.run
    made, score = labels(sitting, items), sitting.settings.judge.kind == "score"
    found = frozenset().union(*(label.veil.found for label in made)) if unmask else frozenset()
    if found:
        ref = f"{sitting.folder.parent.name}/{FOLDER}"
        log_shown(sitting.project, sitting.settings, sitting.settings.project.person, ref, found)
    write_text(path, "".join(json.dumps(label.shown(masked=not unmask), ensure_ascii=False) + "\n" for label in made))
    marks = "1 to 5" if score else "yes or no"
    lines = (
        f"{path}: {counted(len(made), 'output')} in random order. Fill in the column meets ({marks}), then",
        f"Next: {after(LABEL_SHEET, run=run, file=path)}",
    )
    show(as_json, {"run": run, "sheet": str(path), "outputs": len(made)}, lines)


def _take(sitting: JudgeSession, answers: list[Path], rater: str, as_json: bool) -> None:
    from evaluation.judge.assessment import take_labels

    run, kept = sitting.verdict.run, dict[str, int]()
    for path in answers:
        if not path.is_file():
            raise RungError(f"{path}: no such file.", "rung judge --sheet FILE", where=str(path))
        name = rater if len(answers) == 1 else path.stem
        kept[name] = take_labels(sitting, path, name)
    lines = [f"{counted(count, 'label')} from {name} saved." for name, count in kept.items()]
    show(as_json, {"run": run, "labels": kept}, [*lines, "", f"Next: {after(LABELS, run=run)}"])


def compare_blind(
    project: Project,
    settings: Settings,
    run: str | None,
    rater: str,
    items: int,
    sheet: Path | None,
    answers: Sequence[Path],
    reveal: bool,
    unmask: bool,
    as_json: bool,
) -> None:
    """Make the comparison, take answers into it, or end it."""
    from evaluation.people_comparison import log_shown, open_comparison

    for other, value in (("--answers", answers), ("--reveal", reveal)):
        at_most_one({"--sheet": sheet, other: value})
    check_sheet(sheet)
    comparison = open_comparison(project, run, items)
    who = rater.strip() or settings.project.person
    if sheet is not None:
        found = frozenset().union(*(pairing.veil.found for pairing in comparison.asked))
        if unmask and found:
            log_shown(project, settings, who, f"{comparison.folder.parent.name}/human", found)
        return _write_pairs(comparison, sheet, who, unmask, as_json)
    if unmask:
        raise RungError("--unmask: no sheet is asked for.", "--sheet FILE", expected="--sheet FILE")
    for path in answers:
        comparison.take_sheet(who if len(answers) == 1 else path.stem, path)
    if reveal:
        return _reveal(project, comparison, as_json)
    return _standing(comparison, as_json)


def _write_pairs(comparison: BlindComparison, sheet: Path, who: str, unmask: bool, as_json: bool) -> None:
    from evaluation.people_comparison import write_sheet

    run = comparison.plan.run
    write_text(sheet, write_sheet(comparison.pairings, masked=not unmask))
    step = f"Next: {after(PAIR_SHEET, run=run, rater=who, file=sheet)}"
    document = {"run": run, "sheet": str(sheet), "comparisons": len(comparison.pairings)}
    show(as_json, document, [f"{sheet}: fill in choice (a, b or tie) and reason, then", step])


def _standing(comparison: BlindComparison, as_json: bool) -> None:
    """Print the progress of each rater, never their choices."""
    from rung.text.evaluation_text import comparisons_needed

    run, made, standing = comparison.plan.run, len(comparison.pairings), comparison.standing()
    same = made - len(comparison.asked)
    raters = {name: {"done": done, "of": of} for name, (done, of) in standing.items()}
    lines = [
        f"{counted(made, 'comparison')}; {same:,} have equal outputs and count as ties.",
        *(f"  {rater}: {done} of {wanted}" for rater, (done, wanted) in standing.items()),
        comparisons_needed(),
        "To answer: rung review serve, then /compare; or --sheet FILE, and --answers FILE",
        f"\nNext: {after(CHOICES, run=run)}",
    ]
    show(as_json, {"run": run, "comparisons": made, "equal": same, "raters": raters}, lines)


def _reveal(project: Project, comparison: BlindComparison, as_json: bool) -> None:
    """Show the result once every rater has answered everything; the report shows it from then on."""
    from rung.report.evaluation import write_page
    from rung.text.evaluation_text import preference_words

    found = comparison.reveal()
    write_page(project, comparison.folder.parent)
    against = [preference.model_dump(mode="json") for preference in found]
    document = {"run": comparison.plan.run, "raters": list(comparison.standing()), "against": against}
    show(as_json, document, (line for preference in found for line in preference_words(preference)))

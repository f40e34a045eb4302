"""Commands of the group `baseline`: `rung baseline` itself, and where evaluate, verdict, judge and trust are added."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.evaluate import evaluate
from rung.cli.judge import judge
from rung.cli.models import BUDGET, OVERRIDE
from rung.cli.options import Json
from rung.cli.trust import trust
from rung.cli.verdict import verdict

if TYPE_CHECKING:
    from advisor.decision import Decision
    from evaluation.report import Report
    from workspace.folder import Project

ARMS = Annotated[str, typer.Option(help="Arms, by commas; rung.toml's by default. Others stay as they were measured.")]
BY = Annotated[str, typer.Option(help="Who vouches that the prompts are as good as they get, in place of a week.")]
LABELS = Annotated[bool, typer.Option("--label-scoring", help="Score every possible answer too, for calibration.")]
DATASET = Annotated[str | None, typer.Option(help="The frozen version to measure on; the newest by default.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("baseline")(baseline)
    app.command("evaluate")(evaluate)
    app.command("verdict")(verdict)
    app.command("judge")(judge)
    app.command("trust")(trust)


def baseline(
    arms: ARMS = "",
    dataset: DATASET = None,
    by: BY = "",
    reason: Annotated[str, typer.Option(help="Why the prompts are as good as they get.")] = "",
    both_forms: Annotated[bool, typer.Option(help="On test, measure each arm free and held; else as chosen.")] = False,
    label_scoring: LABELS = False,
    budget_usd: BUDGET = None,
    override: OVERRIDE = "",
    as_json: Json = False,
) -> None:
    """Measure the ladder on the frozen test set: base, prompt, few-shot, retrieved few-shot, rag, a classifier."""
    from evaluation.arms.registry import arms_named
    from evaluation.baseline import Aim, run_baseline
    from evaluation.bench import frozen_test, open_bench
    from evaluation.recheck import check_corrections
    from evaluation.taking_over import check_advice, read_answers, take_over
    from rung.cli.models import open_base, open_judge, open_meanings, open_other, opened_project, overridden, scored
    from rung.report.evaluation import write_page
    from workspace.errors import RungError

    project, settings = opened_project()
    wanted = arms_named([a.strip() for a in arms.split(",") if a.strip()] or settings.evaluation.arms)
    if bool(by.strip()) != bool(reason.strip()):
        raise RungError("Vouching for the prompts needs a name and a reason.", "--by NAME --reason TEXT")
    answers = read_answers(project)
    check_advice(project)
    check_corrections(project, settings, frozen_test(project, dataset)[0])
    allowed = overridden(project, settings, override, by, reason, "baseline")
    bigger = any(arm.elsewhere for arm in wanted)
    bench = open_bench(
        project,
        settings,
        open_base(project, settings, override=allowed),
        dataset=dataset,
        watch=scored,
        both_forms=both_forms,
        label_scoring=label_scoring,
        bigger=open_other(project, settings, settings.bigger_model, allowed) if bigger else None,
        judge=open_judge(project, settings, allowed) if settings.evaluation.metric == "judge" else None,
        budget_usd=budget_usd,
        embedder=open_meanings(settings),
    )
    vouched = ("", "") if allowed else (by.strip(), reason.strip())
    aim = Aim(answers.goal_score, answers.prompt_effort_days, *vouched)
    folder, report = run_baseline(bench, wanted, aim)
    decision = take_over(project, settings, bench, report)
    write_page(project, folder)
    _show_baseline(project, folder, report, decision, as_json)


def _show_baseline(project: Project, folder: Path, report: Report, decision: Decision, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from rung.report.baseline_words import lines, taken_over

    if as_json:
        return emit(
            {
                **report.model_dump(mode="json"),
                "folder": project.relative(folder),
                "next_step": decision.next_step,
                "destination": decision.destination,
            }
        )
    taken = [*taken_over(report.judged), f"Advice worked out again: next step {decision.next_step.replace('_', '-')}."]
    for line in lines(report, taken):
        say(line)
    say(f"Report: {project.relative(folder)}/report.html")
    say()
    say(f"Next: {_after_baseline(decision)}")
    return None


def _after_baseline(decision: Decision) -> str:
    if decision.next_step in ("fine_tune", "rag_and_fine_tune"):
        return "rung plan"
    return "rung release --to prompt" if decision.action.name == "keep" else "rung advise"

"""Commands of the group `baseline`: `rung baseline` itself, and where evaluate, verdict, judge and trust are added."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.measure.evaluate import evaluate
from rung.cli.measure.judge import judge
from rung.cli.measure.verdict import verdict
from rung.cli.options import BATCH, BUDGET, LABELS, OVERRIDE, Json, at_most_one
from rung.cli.output import emit, note, say, show
from workspace import trust as trusted
from workspace.counted import counted
from workspace.errors import RungError
from workspace.folder import require_project
from workspace.settings import load_settings, opened_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.privacy import Override
    from evaluation.arms.registry import Arm
    from evaluation.baseline import Aim
    from evaluation.bench import Bench


ARMS = Annotated[
    str, typer.Option(help="Arms to measure, comma-separated (default: rung.toml). Others keep their scores.")
]
BY = Annotated[
    str, typer.Option(help="Your name, to confirm that the prompts are final (replaces the week of prompt work).")
]
DATASET = Annotated[str | None, typer.Option(help="Frozen version to measure on (default: the newest).")]


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
    reason: Annotated[str, typer.Option(help="Why the prompts are final.")] = "",
    label_scoring: LABELS = False,
    budget_usd: BUDGET = None,
    override: OVERRIDE = "",
    batch: BATCH = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count calls, tokens and dollars; ask nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the ladder on the frozen test set: base, prompt, few-shot, retrieved few-shot, rag, two classifiers."""
    from evaluation.arms.prompted import BIGGER_MODEL
    from evaluation.arms.registry import arms_named
    from evaluation.baseline import Aim
    from evaluation.bench import frozen_test, open_bench
    from evaluation.ladder_plan import plan_ladder
    from evaluation.measured_answers import check_advice, read_answers
    from evaluation.testset.relabelling import check_corrections
    from rung.cli.models import open_ladder, open_meanings, overridden, scored
    from rung.status.following import SET_GOAL
    from rung.text.baseline_text import plan_lines

    at_most_one({"--batch": batch, "--budget-usd": budget_usd is not None})
    if bool(by.strip()) != bool(reason.strip()):
        raise RungError("--by and --reason go together.", "--by NAME --reason TEXT", where="--by")
    project, settings = opened_project()
    wanted = arms_named([a.strip() for a in arms.split(",") if a.strip()] or settings.evaluation.arms)
    answers = read_answers(project)
    if answers.goal_score is None and "goal_score" not in answers.answered:
        note(f"! No goal is set. A goal that is named before the measurement counts for more: {SET_GOAL}")
    check_advice(project)
    check_corrections(project, settings, frozen_test(project, dataset)[0])
    allowed = overridden(project, settings, override, by, reason, "baseline")
    bigger = any(arm.name == BIGGER_MODEL for arm in wanted)
    note(f"Reading the dataset and {settings.model.base} ...")
    models = open_ladder(project, settings, allowed, bigger=bigger, batch=batch)
    bench = open_bench(
        project,
        settings,
        models.base,
        dataset=dataset,
        watch=scored,
        label_scoring=label_scoring,
        bigger=models.bigger,
        judge=models.judge,
        budget_usd=budget_usd,
        embedder=open_meanings(settings),
    )
    bench = _with_arms(bench, wanted, allowed, named=bool(arms))
    if dry_run or not bench.desk.model.is_local:
        planned = plan_ladder(bench, wanted)
        if dry_run:
            return show(as_json, planned.as_json(), plan_lines(planned))
        note(next(plan_lines(planned)))
    vouched = ("", "") if allowed else (by.strip(), reason.strip())
    return _measure(bench, wanted, Aim(answers.goal_score, answers.prompt_effort_days, *vouched), as_json)


def _with_arms(bench: Bench, wanted: Sequence[Arm], override: Override | None, *, named: bool) -> Bench:
    """Return the bench with what some arms need: the project's own systems, a prompt optimiser, an encoder.

    `named` says that the person asked for these arms.
    """
    from chat.privacy import project_guard
    from evaluation.arms.classifiers import ENCODER
    from evaluation.arms.optimising import can_rewrite
    from evaluation.arms.own import open_own
    from evaluation.arms.prompted import OPTIMISED
    from rung.cli.models import open_encoder, open_other
    from workspace.extras import installed

    project, settings, names = bench.project, bench.settings, [arm.name for arm in wanted]
    bench = replace(bench, own=open_own(project, settings, names, project_guard(project, settings, override)))
    if OPTIMISED in names and installed("gepa") and (named or can_rewrite(settings)):
        other = bench.bigger or open_other(project, settings, settings.bigger_model, override)
        bench = replace(bench, writer=other or bench.desk.model)
    return bench.with_encoder(lambda: open_encoder(settings)) if ENCODER in names else bench


def _measure(bench: Bench, wanted: Sequence[Arm], aim: Aim, as_json: bool) -> None:
    """Measure the ladder, write its page, record what it answers, and show it."""
    from evaluation.baseline import run_baseline
    from evaluation.measured_answers import take_over
    from rung.report.evaluation import write_page
    from rung.status.stages import next_step
    from rung.text.baseline_text import lines, taken_over
    from rung.text.decision_text import step_word

    project = bench.project
    folder, report = run_baseline(bench, wanted, aim)
    decision = take_over(project, bench.settings, bench, report)
    write_page(project, folder)
    document = {
        **report.model_dump(mode="json"),
        "folder": project.relative(folder),
        "next_step": decision.next_step,
        "destination": decision.destination,
    }
    taken = [*taken_over(report.judged), f"Advice updated: next step {step_word(decision)}."]
    page = f"Report: {project.relative(folder)}/report.html"
    show(as_json, document, [*lines(report, taken), page, "", f"Next: {next_step(project)}"])


def trust(
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the trust.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
    as_json: Json = False,
) -> None:
    """Show the code, programs and hosts that this project uses, and trust its present version on this account.

    A changed file or another host asks again. Values from flags and the environment are yours and need no trust.
    """
    project = require_project()
    if not revoke:
        load_settings(project.settings_file)
    asked = trusted.claims(project.root)
    new = {claim.name for claim in trusted.untrusted(project.root)}
    if not as_json:
        for claim in asked:
            digest = f"  sha256 {claim.sha256[:8]}" if claim.sha256 else ""
            say(f"  {'+' if claim.name in new else ' '} {claim.name}: {claim.what}{digest}")
        if not asked:
            say(f"{project.name} has no code of its own and names no host.")
    if not revoke and new and not as_json and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(f"Trust {counted(len(new), 'new item')} (+) in {project.root.resolve()}?", abort=True, err=True)
    if revoke:
        trusted.distrust(project.root)
    else:
        trusted.trust(project.root, asked)
    if as_json:
        files = {c.name.partition(" ")[2]: c.sha256 for c in asked if c.name.startswith(f"{trusted.CODE} ")}
        items = [{"name": c.name, "what": c.what, "sha256": c.sha256, "new": c.name in new} for c in asked]
        emit({"folder": str(project.root.resolve()), "trusted": not revoke, "files": files, "items": items})
        return
    say(f"{project.name} is {'no longer trusted' if revoke else 'trusted'} on this account ({trusted.state_file()}).")

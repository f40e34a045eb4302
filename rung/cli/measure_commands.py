"""`rung baseline`, `rung verdict` and `rung trust`; `evaluate` and `judge` have files of their own."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import BATCH, BUDGET, LABELS, OVERRIDE, Json, at_most_one, goes_with
from rung.cli.output import emit, next_lines, note, say, show
from rung.status.following import SET_GOAL
from workspace import trust as trusted
from workspace.counted import counted
from workspace.errors import InputError, Refusal, RungError
from workspace.extras import installed
from workspace.folder import require_project
from workspace.settings import MARGIN, load_settings, opened_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chat.privacy import Override
    from evaluation.arms.registry import Arm
    from evaluation.baseline import Aim
    from evaluation.bench import Bench
    from evaluation.verdict.rule import Verdict, VerdictEvidence
    from workspace.errors import Problem


ARMS = Annotated[
    str, typer.Option(help="Arms to measure, comma-separated (default: rung.toml). Others keep their scores.")
]
BY = Annotated[
    str, typer.Option(help="Your name, to confirm that the prompts are final (replaces the week of prompt work).")
]
DATASET = Annotated[str | None, typer.Option(help="Frozen version to measure on (default: the newest).")]


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
    from advisor.answer_file import answers_at
    from advisor.decide import advise_project
    from evaluation.arms.prompted import BIGGER_MODEL
    from evaluation.arms.registry import arms_named
    from evaluation.baseline import Aim
    from evaluation.bench import frozen_test, open_bench
    from evaluation.ladder_plan import plan_ladder
    from evaluation.looks import check_corrections
    from rung.cli.models import open_ladder, open_meanings, overridden, watch
    from rung.text.baseline_text import plan_lines

    at_most_one({"--batch": batch, "--budget-usd": budget_usd is not None})
    if bool(by.strip()) != bool(reason.strip()):
        raise RungError("--by and --reason go together.", "--by NAME --reason TEXT", where="--by")
    project, settings = opened_project()
    wanted = arms_named([a.strip() for a in arms.split(",") if a.strip()] or settings.evaluation.arms)
    answers = answers_at(project.answers_file)
    if answers.goal_score is None and "goal_score" not in answers.answered:
        note(f"! No goal is set. A goal that is named before the measurement counts for more: {SET_GOAL}")
    advise_project(project, write=False)  # a fault in answers or rules would else stop the advice after an hour
    check_corrections(project, settings, frozen_test(project, dataset)[0])
    allowed = overridden(project, settings, override, by, reason, "baseline")
    bigger = any(arm.name == BIGGER_MODEL for arm in wanted)
    note(f"Reading the dataset and {settings.model.base} ...")
    base, other, judge = open_ladder(project, settings, allowed, bigger=bigger, batch=batch)
    bench = open_bench(
        project,
        settings,
        base,
        dataset=dataset,
        watch=partial(watch, scored=True),
        label_scoring=label_scoring,
        bigger=other,
        judge=judge,
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
    show(as_json, document, [*lines(report, taken), page, *next_lines(project)])


def verdict(
    run: Annotated[str | None, typer.Argument(help="Run, e.g. R-001 (default: the newest verdict).")] = None,
    scores: Annotated[str | None, typer.Option(help="JSON Lines of scores, one item a line; - for stdin.")] = None,
    chosen: Annotated[str | None, typer.Option(help="Arm that validation chose, if there are several.")] = None,
    margin: Annotated[float | None, typer.Option(min=0, max=1, help="Required lead of a tuned model (0.05).")] = None,
    items: Annotated[
        bool, typer.Option("--items", help="Show the test items in the report; counts as a look.")
    ] = False,
    accept_judgement: Annotated[bool, typer.Option(help="Accept a judgement; needs --by and --reason.")] = False,
    by: Annotated[str, typer.Option(help="Your name, for --accept-judgement.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Show the verdict: ship, judgement, keep the prompt, or need more data. Exit 0 for ship, else 1."""
    from evaluation.verdict.rule import ShipRule, VerdictEvidence
    from rung.text.verdict_text import lines

    for other, value in ((run or "", run), ("--items", items)):
        at_most_one({other: value, "--scores": scores})
    goes_with(
        "--accept-judgement", accept_judgement, "rung verdict --accept-judgement", {"--by": by, "--reason": reason}
    )
    if accept_judgement and not (by.strip() and reason.strip()):
        raise RungError("--accept-judgement needs a name and a reason.", "--by NAME --reason TEXT")
    acceptance = (by.strip(), reason.strip()) if accept_judgement else None
    if scores is not None:
        wanted = ShipRule(margin=MARGIN if margin is None else margin)
        result = _of_scores(scores, VerdictEvidence(chosen=chosen, rule=wanted), acceptance, as_json)
        shown = lines(result)
    else:
        if items:
            _open_items(run)
        if chosen is not None or margin is not None:
            raise RungError("--chosen and --margin need --scores; for a run they are set in rung.toml.", "rung verdict")
        result, shown = _of_run(run, acceptance)
    show(as_json, result.model_dump(mode="json"), shown)
    raise typer.Exit(0 if result.verdict == "ship" or result.accepted else 1)


def _of_scores(scores: str, evidence: VerdictEvidence, acceptance: tuple[str, str] | None, as_json: bool) -> Verdict:
    from evaluation.verdict.paired_scores import READ, read_scores, read_scores_file
    from evaluation.verdict.rule import accepted, rule

    try:
        given = read_scores("stdin", sys.stdin.buffer.read()) if scores == "-" else read_scores_file(Path(scores))
    except InputError as error:
        if not as_json:
            error.message = "\n".join(few_of_each(error.problems))
        raise
    if given.unread:
        note(f"! Keys that are not read: {', '.join(given.unread)}. Those that are: {', '.join(READ)}.")
    result = rule(given, evidence)
    return accepted(result, *acceptance) if acceptance else result


def few_of_each(problems: Sequence[Problem], most: int = 3) -> Iterator[str]:
    """Yield the first problems of each kind, and a count of the others. Those of a kind differ in figures only."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(re.sub(r"[\d.]+", "#", problem.text), []).append(problem)
    for alike in kinds.values():
        yield from map(str, alike[:most])
        if more := alike[most:]:
            yield f"  and {len(more):,} more like it, the last in {more[-1].where} (--json lists all)"


def _of_run(run: str | None, acceptance: tuple[str, str] | None) -> tuple[Verdict, list[str]]:
    from curation.store import open_store
    from curation.store.vouching import write_vouched
    from evaluation.measurement_report import read_report
    from evaluation.verdict.rule import accepted, newest_verdict
    from rung.report.evaluation import write_page
    from rung.status.stages import after_verdict
    from rung.text.verdict_text import lines

    project, settings = opened_project()
    found = newest_verdict(project, run)
    if found is None:
        raise Refusal(f"No verdict on {run} yet." if run else "No verdict yet: no run was measured.", "rung evaluate")
    folder, result = found
    if acceptance and result.verdict == "judgement":
        result = accepted(result, *acceptance)
        with open_store(project, settings) as store:
            write_vouched(store, folder / "verdict.json", result, settings.project.person)
        write_page(project, folder)
    report, baseline = read_report(project, folder.name)[1], read_report(project, result.baseline_report or "")[1]
    page = f"Report: {project.relative(folder)}/report.html"
    return result, [*lines(result, report, baseline), page, "", f"Next: {after_verdict(result).command}"]


def _open_items(run: str | None) -> None:
    """Show the test items before the last planned run was scored: recorded, and counted as a scoring."""
    from evaluation.looks import note_look
    from evaluation.measurement_report import read_report
    from evaluation.verdict.rule import newest_verdict
    from rung.report.evaluation import write_page

    project, settings = opened_project()
    found = newest_verdict(project, run)
    if found is None:
        return
    folder, report = read_report(project, found[0].name)
    if note_look(project, settings, report):
        note("Recorded as a look at the test items. It counts as one of the planned runs.")
    write_page(project, folder)


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

"""`rung verdict`: on a run, or on anyone's score file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json, at_most_one, goes_with
from rung.cli.output import note, show
from workspace.errors import InputError, Refusal, RungError
from workspace.settings import opened_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evaluation.verdict.rule import Verdict, VerdictEvidence
    from workspace.errors import Problem


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
    from evaluation.verdict.rule import MARGIN, ShipRule, VerdictEvidence
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
    from curation.split.audit import write_vouched
    from curation.store import open_store
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
    from evaluation.measurement_report import read_report
    from evaluation.testset.looks import note_look
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

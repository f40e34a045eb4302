"""`rung watch`: request logs of the released model in, what changed, and production rows back into the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.models import BUDGET, OVERRIDE
from rung.cli.options import Json, day
from rung.cli.output import ProgressLine, emit, note, say

if TYPE_CHECKING:
    from training.watch.measures import Judge
    from workspace.folder import Project
    from workspace.settings import Settings

LARGE = 16 << 20
"""Bytes of a log from which reading it shows progress."""


watch_app = typer.Typer(
    help="After the release: request logs in, drift measured, candidates back.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    watch_app.command("import")(import_logs)
    watch_app.command("report")(report)
    watch_app.command("learn")(learn_command)
    app.add_typer(watch_app, name="watch")


def import_logs(
    logs: Annotated[list[Path], typer.Argument(metavar="LOGS...", help="Request logs: JSON Lines, plain or gzipped.")],
    sample: Annotated[float, typer.Option(min=0.0001, max=1.0, help="The share of requests to keep.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Draws the sample; [dataset] seed where none is given.")] = None,
    model: Annotated[str, typer.Option(help="Only requests to this model.")] = "",
    rejects: Annotated[
        Path | None, typer.Option(help="Where lines that cannot be read go, masked, with reasons.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take request logs in, masked, a sample where you like. The same log again changes nothing."""
    from rung.cli.watch_words import imported_lines
    from training.watch.keep import Wish
    from training.watch.take_in import read_logs, take_in
    from workspace.files import check_outputs
    from workspace.folder import require_project
    from workspace.settings import load_settings

    check_outputs(rejects, inputs=logs)
    project = require_project()
    settings = load_settings(project.settings_file)
    large = any(path.is_file() and path.stat().st_size > LARGE for path in logs)
    reading = ProgressLine("Reading") if large else None
    read = read_logs(logs, keep_rejects=rejects is not None, progress=reading)
    wish = Wish(sample, settings.dataset.seed if seed is None else seed, model)
    made = take_in(project, read, wish, actor=settings.project.person, rejects=rejects)
    if as_json:
        emit({"import": made.model_dump(mode="json") if made else None, "rejects": str(rejects) if rejects else None})
        return
    for line in imported_lines(made, read.rejects, rejects):
        say(line)


def report(
    since: Annotated[str, typer.Option(metavar="DATE", help="Only requests from this day on.")] = "",
    judge: Annotated[int, typer.Option(min=0, help="Let [judge] look at so many answers, and as many to test.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    budget_usd: BUDGET = None,
    override: OVERRIDE = "",
    by: Annotated[str, typer.Option(help="Who overrides.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Say what has changed since training. Exit 1 where a signal is raised."""
    from rung.cli.models import opened_project
    from rung.report import watch_words
    from training.watch.drift import measure, report_file
    from training.watch.whole import put_back
    from workspace.files import check_page

    check_page(html)
    project, settings = opened_project()
    asked = _judge(project, settings, judge, (override, by, reason), budget_usd) if judge else None
    with put_back(report_file(project)):
        found = measure(
            project, settings, since=day("--since", since).isoformat() if since else "", judge=asked, judged=judge
        )
        if html is not None:
            from rung.report.watch import write_watch_page

            write_watch_page(html, found)
    if html is not None:
        note(f"Page: {html}")
    if as_json:
        emit(found.model_dump(mode="json"))
    else:
        for line in watch_words.lines(found):
            say(line)
    if found.raised:
        raise typer.Exit(1)


def learn_command(
    count: Annotated[int, typer.Option(min=1, help="Candidates at most; the same command again takes the next.")] = 200,
    errors: Annotated[bool, typer.Option("--errors", help="Only failed, cut, edited and low rated requests.")] = False,
    as_json: Json = False,
) -> None:
    """Put requests into the review queue, errors first. Duplicates and leaks stay out, each with its reason."""
    from curation.store import open_store
    from rung.cli.models import opened_project
    from rung.cli.watch_words import learnt_lines
    from training.watch.learn import learn

    project, settings = opened_project()
    with open_store(project, settings) as store:
        done = learn(project, settings, store, count=count, telling=errors)
    if as_json:
        emit(done.to_json())
        return
    for line in learnt_lines(done):
        say(line)


def _judge(
    project: Project, settings: Settings, items: int, named: tuple[str, str, str], budget_usd: float | None
) -> Judge:
    """The judge of rung.toml behind the privacy guard; what it said once is not asked again."""
    from evaluation.asking import Replies
    from rung.cli.models import open_judge, overridden, watch
    from training.watch.judge import judge_of

    model = open_judge(project, settings, overridden(project, settings, *named, "watch report"))
    replies = Replies(project.evaluations / ".partial" / "replies.jsonl", budget_usd)
    return judge_of(project, settings, model, replies, watch("judge"))

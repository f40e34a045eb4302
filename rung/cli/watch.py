"""`rung watch`: request logs of the released model in, what changed, and production rows back into the queue."""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung import __version__
from rung.cli.options import BUDGET, OVERRIDE, By, Json, Reason, day
from rung.cli.output import bytes_line, note, show
from workspace.files import check_outputs, check_page, put_back
from workspace.settings import opened_project

if TYPE_CHECKING:
    from training.monitoring.drift import DriftReport, Judge
    from workspace.folder import Project
    from workspace.settings import Settings

watch_app = typer.Typer(
    help="Monitor production: import request logs, measure drift, collect candidates.", no_args_is_help=True
)


@watch_app.command("import")
def import_logs(
    logs: Annotated[list[Path], typer.Argument(metavar="LOGS...", help="Request logs: JSON Lines, plain or gzipped.")],
    model: Annotated[str, typer.Option(help="Only requests to this model.")] = "",
    rejects: Annotated[
        Path | None, typer.Option(help="File for lines that cannot be read, masked, with reasons.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import request logs, masked. Importing a log twice changes nothing."""
    from rung.text.monitoring_text import imported_lines
    from training.monitoring.log_import import read_logs, take_in

    check_outputs(rejects, inputs=logs)
    project, settings = opened_project()
    read = read_logs(logs, keep_rejects=rejects is not None, progress=bytes_line("Reading", *logs))
    made = take_in(project, read, model=model, actor=settings.project.person, rejects=rejects)
    show(
        as_json,
        {"import": made.model_dump(mode="json") if made else None, "rejects": str(rejects) if rejects else None},
        imported_lines(made, read.rejects, rejects),
    )


@watch_app.command("report")
def report(
    since: Annotated[str, typer.Option(metavar="DATE", help="Only requests from this day on.")] = "",
    judge: Annotated[int, typer.Option(min=0, help="Number of answers that [judge] grades, and of test answers.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    budget_usd: BUDGET = None,
    override: OVERRIDE = "",
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Show what has changed since training. Exit 1 if a signal raises an alarm."""
    from rung.text import monitoring_text
    from training.monitoring.drift import measure, report_file

    check_page(html)
    project, settings = opened_project()
    asked = _judge(project, settings, judge, (override, by, reason), budget_usd) if judge else None
    with put_back(report_file(project)):
        found = measure(
            project, settings, since=day("--since", since).isoformat() if since else "", judge=asked, judged=judge
        )
        if html is not None:
            write_watch_page(html, found)
    if html is not None:
        note(f"Page: {html}")
    show(as_json, found.model_dump(mode="json"), monitoring_text.lines(found))
    if found.raised:
        raise typer.Exit(1)


def write_watch_page(path: Path, report: DriftReport) -> None:
    """Write the page of `--html` atomically; everything on it is in the file."""
    from rung.report.page import bar_plot, write_html
    from rung.text import monitoring_text

    bars = [(signal.title.partition(" (")[0], abs(log10(signal.p))) for signal in report.signals if signal.p]
    level = max((signal.false_alarm for signal in report.signals), default=0.01)
    rest = f"An alarm from {-log10(level):.1f} on. 1.0: 1 in 10 by chance; 2.0: 1 in 100; 3.0: 1 in 1,000"
    values = {
        "version": __version__,
        "report": report,
        "words": monitoring_text,
        "signals": monitoring_text.by_alarm(report),
        "traffic": list(monitoring_text.traffic_words(report.traffic)),
        "plot": bar_plot("How unlikely each change is by chance", bars, "{:.1f}", rest) if bars else "",
    }
    write_html(path, "watch.html", values)


@watch_app.command("learn")
def learn_command(
    count: Annotated[int, typer.Option(min=1, help="Maximum number of candidates. A rerun takes the next ones.")] = 200,
    errors: Annotated[
        bool, typer.Option("--errors", help="Only failed, truncated, edited and low-rated requests.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put requests into the review queue, errors first. Duplicates and leaks are left out, each with its reason."""
    from curation.store import open_store
    from rung.text.monitoring_text import learnt_lines
    from training.monitoring.learn import learn

    project, settings = opened_project()
    with open_store(project, settings) as store:
        done = learn(project, settings, store, count=count, telling=errors)
    show(as_json, done.to_json(), learnt_lines(done))


def _judge(
    project: Project, settings: Settings, items: int, named: tuple[str, str, str], budget_usd: float | None
) -> Judge:
    """Return the judge of rung.toml behind the privacy guard; what it said once is not asked again."""
    from evaluation.ask import Replies
    from rung.cli.models import open_judge, overridden, watch
    from training.monitoring.drift import judge_of

    model = open_judge(project, settings, overridden(project, settings, *named, "watch report"))
    replies = Replies(project.evaluations / ".partial" / "replies.jsonl", budget_usd)
    return judge_of(project, settings, model, replies, watch("judge"))

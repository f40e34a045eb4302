"""`rung plan --preflight`: the rows as they will be trained, a dry run, and the estimate held against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workspace.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.preflight import Preflight
    from workspace.folder import Project


def preflight_plan(project: Project, plan_file: Path, html: Path | None, as_json: bool) -> None:
    """Measure, print, write the page where one is asked for; leaves with 1 where something has to be put right."""
    from rung.cli.output import emit, note, say
    from training.plan import read_plan
    from training.preflight import place_of, preflight

    note(f"Dry run of {plan_file.stem}: three steps on this machine; nothing is kept but the figures.")
    found = preflight(project, plan_file)
    if html is not None:
        write_page(html, read_plan(plan_file), found.rows, found)
    if as_json:
        emit({**found.model_dump(mode="json"), "path": str(place_of(project, found.plan))})
    else:
        for line in preflight_lines(found):
            say(line)
        say()
        page = f", {html}" if html else ""
        step = "put that right first" if found.blocked else f"rung train {found.plan}"
        say(f"Written: {project.relative(place_of(project, found.plan))}{page}   Next: {step}")
    if found.blocked:
        raise typer.Exit(1)


def write_page(html: Path, plan: Any, rows: Any, found: Preflight | None) -> None:
    """The page of the rows and, after a dry run, of its figures."""
    from rung.report.preflight import write_preflight_page
    from workspace.files import check_outputs

    check_outputs(html)
    write_preflight_page(html, plan, rows, found)


def preflight_lines(found: Preflight) -> Iterator[str]:
    """Rows, then what was measured beside what was estimated, then findings."""
    from types import SimpleNamespace

    from rung.cli.training_words import token_lines

    rows = SimpleNamespace(**{**found.rows, "shown": [SimpleNamespace(**shown) for shown in found.rows["shown"]]})
    yield from token_lines(rows)
    yield ""
    for name, value in measured_rows(found):
        yield f"  {name:<14} {value}"
    yield ""
    for finding in found.findings:
        yield f"{'✗' if finding.level == 'blocks' else '!'} {finding.text}"
    if not found.findings:
        yield "✓ nothing to put right"


def measured_rows(found: Preflight) -> Iterator[tuple[str, str]]:
    """(name, value) of each figure."""
    from rung.report.figures import duration

    seen, forecast = found.estimate, found.forecast
    said = f", estimated {seen['expected']:.2f} ({seen['low']:.2f} to {seen['high']:.2f})" if seen else ""
    yield "memory", f"{found.peak_gib:.2f} GiB held at most{said}; imports {found.imports_gib:.2f} more"
    steps = ", ".join(f"{step.seconds:.2f} s" for step in found.steps)
    yield "steps", f"{steps}; the first holds the longest rows"
    yield (
        "speed",
        f"{found.tokens_per_second:,.0f} tokens/s in {found.precision}, {found.loading_seconds:.1f} s to load",
    )
    low, middle, high = (duration(s or 0.0) for s in (forecast.seconds_low, forecast.seconds, forecast.seconds_high))
    yield "time", f"{middle} ({low} to {high}) by the mean, the quickest and the slowest step"
    disk = f"{found.disk_needed / 1e6:,.0f} MB of {found.disk_free / 1e9:,.1f} GB free"
    yield "disk", f"{disk}: {found.checkpoint_bytes / 1e6:,.1f} MB a checkpoint"
    lost = len(found.answer_lost)
    whole = f"not trained whole: {counted(lost, 'answer')}" if lost else "every answer is trained whole"
    yield "template", f"{found.template_sha256[:8]}; {whole}"

"""`rung plan --preflight`: the rows as they will be trained, a dry run, and the estimate held against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

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

    write_preflight_page(html, plan, rows, found)


def preflight_lines(found: Preflight) -> Iterator[str]:
    """Rows, then what was measured beside what was estimated, then findings."""
    from types import SimpleNamespace

    from rung.report.plan_words import measured_rows, token_lines

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

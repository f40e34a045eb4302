"""`rung data import`, `rung data freeze`, `rung data diff`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Answer, Json, Question, Rejects, System
from rung.cli.output import ProgressLine, emit, note, say
from workspace.words import counted

if TYPE_CHECKING:
    from curation.ingest import Imported
    from rung.cli.smallest_gain import SmallestGain
    from workspace.folder import Project
    from workspace.settings import Settings

LARGE = 16 << 20
"""Bytes of a file from which reading it shows progress."""
MANY = 5_000
"""Rows from which storing takes long enough to be told."""


def register_data(data: typer.Typer) -> None:
    """Add these commands to `rung data`."""
    data.command("import")(import_files)
    data.command("freeze")(freeze_command)
    data.command("diff")(diff_command)


def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files, folders, or - for standard input.")],
    fmt: Annotated[str, typer.Option("--format", help="The format; auto tells it by its keys.")] = "auto",
    role: Annotated[str, typer.Option("--as", help="pool, candidates, train, validation or test.")] = "pool",
    rejects: Rejects = None,
    question: Question = "",
    answer: Answer = "",
    system: System = "",
    as_json: Json = False,
) -> None:
    """Take rows into the project. The same file again changes nothing."""
    from curation.formats import Columns
    from curation.ingest import ingest, merge_rejects, read_batches
    from curation.store import open_store, store_exists
    from workspace.files import check_outputs
    from workspace.folder import require_project
    from workspace.settings import load_settings

    check_outputs(rejects, inputs=files)
    project = require_project()
    settings = load_settings(project.settings_file)
    if store_exists(project, settings):
        with open_store(project, settings) as store:
            store.check_writable()
    columns = Columns(question, answer, system)
    large = any(file.is_file() and file.stat().st_size > LARGE for file in files)
    reading = ProgressLine("Reading") if large else None
    kept = rejects is not None
    batches = read_batches(files, role, fmt=fmt, columns=columns, keep_rejects=kept, notice=note, progress=reading)
    if rejects is not None:
        merge_rejects(rejects, [b.path for b in batches], (r for b in batches for r in b.rejects))
    rows = sum(len(batch.rows) for batch in batches)
    if rows > MANY:
        note(f"Storing {rows:,} rows, duplicates found as they come ...")
    line = ProgressLine("Storing") if len(batches) > 1 else None
    made = []
    with open_store(project, settings) as store:
        for number, batch in enumerate(batches, 1):
            made.append(ingest(store, settings, batch, role, actor=settings.project.person))  # type: ignore[arg-type]
            if line:
                line(number, len(batches))
    if as_json:
        emit({"files": [each.to_json() for each in made], "rejects": str(rejects) if rejects else None})
    else:
        _say_imported(made, role, rejects)


def _say_imported(made: list[Imported], role: str, rejects: Path | None) -> None:
    for each in made:
        known = f" + {each.known:,} already there" if each.known else ""
        say(
            f"{each.read:,} read = {each.kept:,} kept + {each.exact:,} exact + {each.near:,} near "
            f"+ {each.rejected:,} rejected{known}" + (f"   {each.file}" if len(made) > 1 else "")
        )
        if each.rejects:
            first = each.rejects[0]
            say(
                f"! {each.rejected:,} of {each.read:,} lines could not be read; they are in {rejects} with their "
                f"reasons. First: line {first.line}, {first.reason}"
            )
        if each.contradictions:
            pair = "1 pair" if each.contradictions == 1 else f"{each.contradictions:,} pairs"
            say(f"! {pair}: the same question with different answers: rung data check")
        if each.unanswered:
            say(f"  without an answer: {counted(each.unanswered, 'row')}, to be given one: rung review next")
    say(f"\nNext: {'rung review next' if role in ('candidates', 'test') else 'rung data check'}")


def freeze_command(
    test_only: Annotated[
        bool, typer.Option("--test-only", help="A test set alone: all that a baseline needs.")
    ] = False,
    leave_out: Annotated[
        bool, typer.Option("--leave-out-undecided", help="Leave candidates without a decision in the queue.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be frozen; write nothing.")] = False,
    test: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="Share of the pool for the test set.")
    ] = None,
    validation: Annotated[float | None, typer.Option(min=0.001, max=0.999, help="Share for validation.")] = None,
    split_by: Annotated[str | None, typer.Option(metavar="KEY", help="Split by the ISO dates under this key.")] = None,
    gain: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="The gain that the test set should show: 0.1.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Freeze the reviewed rows as the next version. Killed at any moment it leaves a whole version or none."""
    from curation.freeze import freeze
    from rung.cli.freeze_words import frozen_json, frozen_lines
    from rung.cli.models import opened_project

    project, settings = opened_project()
    wanted = {"test": test, "validation": validation, "split_by": split_by, "gain": gain}
    given = {name: value for name, value in wanted.items() if value is not None}
    settings = settings.model_copy(update={"dataset": settings.dataset.model_copy(update=given)})
    if dry_run:
        _show_plan(project, settings, test_only, leave_out, as_json)
        return
    who = settings.project.person
    done = freeze(project, settings, test_only=test_only, leave_out=leave_out, actor=who, stage=note)
    sizes = {name: split.rows for name, split in done.manifest.splits.items()}
    size = _size(settings, sizes, done.manifest.shares, done.manifest.policy.get("test_kept_from"))
    if as_json:
        emit(frozen_json(project.relative(done.folder), done, size))
        return
    for text in frozen_lines(done, size):
        say(text)


def _show_plan(project: Project, settings: Settings, test_only: bool, leave_out: bool, as_json: bool) -> None:
    """What a freeze would do. Raises Refusal where something stands in the way."""
    from curation.freeze import plan_freeze
    from curation.freeze.write import refusal
    from curation.store import open_store
    from rung.cli.freeze_words import plan_json, plan_lines

    with open_store(project, settings) as store:
        plan = plan_freeze(store, project, settings, test_only=test_only, leave_out=leave_out, stage=note)
    if plan.blockers:
        raise refusal(plan)
    size = _size(settings, plan.sizes, plan.shares, plan.kept_test)
    if as_json:
        emit(plan_json(plan, size))
        return
    for text in plan_lines(plan, size):
        say(text)


def _size(
    settings: Settings, sizes: Mapping[Any, int], shares: Mapping[Any, float] | None, kept: str | None
) -> SmallestGain:
    """What this test set can show; the rows that it was cut from, where its share may still be chosen."""
    from rung.cli.smallest_gain import SmallestGain

    items, share = sizes.get("test", 0), (shares or {}).get("test", 0.0)
    rows = 0 if kept or not share else sum(sizes.values()) if len(sizes) > 1 else round(items / share)
    return SmallestGain(items, rows, settings.evaluation.margin, settings.dataset.gain, settings.dataset.group_by)


def diff_command(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A frozen version, as v001.")],
    new: Annotated[str, typer.Argument(metavar="NEW")],
    as_json: Json = False,
) -> None:
    """What one frozen version has that another has not, row by row."""
    from curation.freeze import difference
    from curation.manifest import newest_dataset
    from rung.cli.freeze_words import difference_lines
    from workspace.folder import require_project

    project = require_project()
    folders = [newest_dataset(project, name) for name in (old, new)]
    assert folders[0] is not None and folders[1] is not None
    found = difference(folders[0], folders[1])
    if as_json:
        emit(found.to_json())
        return
    for text in difference_lines(found):
        say(text)

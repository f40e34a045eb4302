"""`rung data import` and `rung data freeze`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.data.data_commands import data_app
from rung.cli.options import Answer, Json, Question, Rejects, Sheet, System, at_most_one, goes_with
from rung.cli.output import ProgressLine, bytes_line, next_lines, note, show
from workspace.counted import counted
from workspace.errors import RungError
from workspace.json_types import JsonObject

if TYPE_CHECKING:
    from curation.rows import Columns
    from curation.store.ingest import ImportBatch, Imported
    from rung.text.power_text import SmallestGain
    from workspace.folder import Project
    from workspace.settings import Settings

FIRST = 3
"""Rows and problems of a file that are shown before it is taken."""
MANY = 5_000
"""Rows from which storing takes long enough to be reported."""


@data_app.command("import")
def import_files(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="Files, folders, - for standard input, or hf://owner/name for a dataset of the Hub."
        ),
    ] = None,
    fmt: Annotated[str, typer.Option("--format", help="Format of the files (auto: detected by their keys).")] = "auto",
    role: Annotated[str, typer.Option("--as", help="pool, candidates, train, validation or test.")] = "pool",
    rejects: Rejects = None,
    question: Question = "",
    answer: Answer = "",
    system: System = "",
    sheet: Sheet = "",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Import every data file below a folder.")
    ] = False,
    sql: Annotated[
        str, typer.Option(help="A database to read instead of files: sqlite:///FILE, postgresql://...")
    ] = "",
    query: Annotated[Path | None, typer.Option(help="A file with the SELECT for --sql.")] = None,
    split: Annotated[str, typer.Option(help="The split of a dataset of the Hub (default: train).")] = "",
    revision: Annotated[str, typer.Option(help="Its branch, tag or commit (default: main).")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be imported; store nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import rows into the project. Importing a file twice changes nothing; `rung data undo` removes an import."""
    from curation.rows import Columns
    from curation.store.ingest import merge_rejects, read_batches
    from workspace.files import check_outputs
    from workspace.settings import opened_project

    given = files or []
    check_outputs(rejects, inputs=given)
    _check_source(given, sql, query, {"--split": split, "--revision": revision})
    _ask_for_folders([] if recursive or dry_run else given)
    project, settings = opened_project()
    columns = _checked_columns(project, settings, given, Columns(question, answer, system, sheet))
    kept = rejects is not None or dry_run
    with tempfile.TemporaryDirectory(prefix="rung-") as folder:
        given, called = _copied(given, sql, query, split, revision, Path(folder))
        columns = replace(columns, called=called)
        reading = bytes_line("Reading", *given)
        batches = read_batches(given, role, fmt=fmt, columns=columns, keep_rejects=kept, notice=note, progress=reading)
        if dry_run:
            _show_import(batches, role, as_json)
            return
        if rejects is not None:
            merge_rejects(rejects, [b.path for b in batches], (r for b in batches for r in b.rejects))
        made = _store(project, settings, batches, role)
    document = {"files": [each.to_json() for each in made], "rejects": str(rejects) if rejects else None}
    show(as_json, document, chain(_imported_lines(made, rejects), next_lines(project)))


def _check_source(files: list[Path], sql: str, query: Path | None, of_hub: Mapping[str, object]) -> None:
    """Raise RungError unless there is one kind of source, with its own options."""
    from curation.rows.source import is_hub

    hub = any(map(is_hub, files))
    if files and not any((sql, query, hub, *of_hub.values())):
        return
    goes_with("--sql", sql, "rung data import --sql URL", {"--query": query})
    goes_with("--query", query, "rung data import --query FILE", {"--sql": sql})
    goes_with("hf://owner/name", hub, "rung data import hf://owner/name", of_hub)
    at_most_one({"FILE": files, "--sql": sql})
    if hub and len(files) > 1:
        raise RungError("A dataset of the Hub is imported by itself.", "rung data import hf://owner/name")
    if not files and not sql:
        raise RungError("Nothing to import.", "rung data import FILE, or --sql URL --query FILE", expected="a source")


def _copied(
    files: list[Path], sql: str, query: Path | None, split: str, revision: str, folder: Path
) -> tuple[list[Path], str]:
    """Return the files to read, and the name of their source where they are a copy that was made in `folder`."""
    from curation.rows.source import is_hub

    if query is not None:
        from curation.store.outside import write_query

        return [folder / "rows.jsonl"], write_query(sql, query, folder / "rows.jsonl")
    if is_hub(files[0]):
        from curation.store.outside import write_split

        return [folder / "rows.parquet"], write_split(files[0], split, revision, folder / "rows.parquet")
    return files, ""


def _store(project: Project, settings: Settings, batches: list[ImportBatch], role: str) -> list[Imported]:
    from curation.review.queue import refresh_queue
    from curation.store import open_store
    from curation.store.ingest import ingest

    rows = sum(len(batch.rows) for batch in batches)
    if rows > MANY:
        note(f"Storing {rows:,} rows and looking for duplicates ...")
    line = ProgressLine("Storing") if len(batches) > 1 else None
    made = []
    with open_store(project, settings) as store:
        for number, batch in enumerate(batches, 1):
            made.append(ingest(store, settings, batch, role, actor=settings.project.person))  # type: ignore[arg-type]
            if line:
                line(number, len(batches))
        refresh_queue(store, settings)
    return made


def _checked_columns(project: Project, settings: Settings, files: list[Path], columns: Columns) -> Columns:
    """Return the named columns, else those that were named for an earlier file with the same columns.

    Raises RungError if the store cannot be written.
    """
    from curation.rows.preview import preview
    from curation.store import open_store, store_exists
    from curation.store.ingest import columns_before

    if not store_exists(project, settings):
        return columns
    with open_store(project, settings) as store:
        store.check_writable()
        if columns.named or not all(map(Path.is_file, files)):
            return columns
        try:
            found = {columns_before(store, preview(file).columns) for file in files}
        except RungError:
            return columns  # reading it in full says what is wrong
    return replace(found.pop(), sheet=columns.sheet, called="") if len(found) == 1 else columns


def _ask_for_folders(paths: list[Path]) -> None:
    """Raise RungError for a folder: all that is below it is taken only where that was asked for."""
    from curation.rows.source import files_of

    for path in paths:
        if str(path) != "-" and path.is_dir():
            files = files_of(path)
            names = ", ".join(str(file.relative_to(path)) for file in files[:3]) + (", ..." if len(files) > 3 else "")
            raise RungError(
                f"{path}: a folder with {counted(len(files), 'data file')} ({names}).",
                f"rung data import {path} --recursive, or --dry-run to see its rows first",
                where=str(path),
                expected="a file, or --recursive",
                found="a folder",
            )


def _show_import(batches: list[ImportBatch], role: str, as_json: bool) -> None:
    """Print what an import would read: good and bad lines, and the first rows of each file, masked."""
    from curation.checks.base import excerpt

    shown: list[JsonObject] = [
        {
            "file": batch.path,
            "role": role,
            "rows": len(batch.rows),
            "rejected": len(batch.rejects),
            "first": [
                {"question": excerpt(example.question), "answer": excerpt(example.answer or "")}
                for example in islice(batch.rows, FIRST)
            ],
            "problems": [f"line {reject.line}: {reject.reason}" for reject in islice(batch.rejects, FIRST)],
        }
        for batch in batches
    ]
    lines = []
    for each in shown:
        rejected = f", {counted(each['rejected'], 'line')} unreadable" if each["rejected"] else ""
        lines.append(f"{each['file']}: {counted(each['rows'], 'row')} as {role}{rejected}")
        lines += [f"  {row['question']}\n    -> {row['answer']}" for row in each["first"]]
        lines += [f"  ! {problem}" for problem in each["problems"]]
    lines.append("\nNothing was stored. Duplicates are removed at the import.")
    show(as_json, {"dry_run": True, "files": shown}, lines)


def _imported_lines(made: list[Imported], rejects: Path | None) -> Iterator[str]:
    from curation.rows.rejects import reason_lines
    from rung.text.checks_text import lines_seen

    for each in made:
        line = lines_seen(each.read, each.kept, each.exact, each.near, each.rejected, each.known)
        yield line + (f"   {each.file}" if len(made) > 1 else "")
        if each.rejects:
            yield from (f"! {reason}" for reason in reason_lines(each.rejects))
            yield f"  These lines: {rejects}. The first is line {each.rejects[0].line}."
        if each.contradictions:
            pairs = counted(each.contradictions, "pair")
            yield f"! {pairs} with the same question and different answers: rung data check"
        if each.unanswered:
            yield f"  {counted(each.unanswered, 'row')} without an answer; reviewers write it: rung review next"


@data_app.command("freeze")
def freeze_command(
    test_only: Annotated[
        bool, typer.Option("--test-only", help="Freeze only a test set: enough for a baseline.")
    ] = False,
    leave_out: Annotated[
        bool, typer.Option("--leave-out-undecided", help="Leave candidates without a decision in the queue.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be frozen; write nothing.")] = False,
    test: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="Share of the pool for the test set, e.g. 0.1.")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="Share of the pool for validation, e.g. 0.1.")
    ] = None,
    split_by: Annotated[str | None, typer.Option(metavar="KEY", help="Split by the ISO dates under this key.")] = None,
    gain: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="Gain that the test set should detect, e.g. 0.1.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Freeze the reviewed rows as the next version. An interrupted freeze leaves no partial version."""
    from curation.split.freeze import freeze
    from rung.start import draft_prompt
    from rung.status.stages import next_step
    from rung.text.dataset_text import frozen_json, frozen_lines
    from workspace.settings import opened_project

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
    drafted = draft_prompt(project, settings)
    document = frozen_json(project.relative(done.folder), done, size) | {"prompt_drafted_from": drafted}
    show(as_json, document, frozen_lines(done, size, next_step(project), drafted))


def _show_plan(project: Project, settings: Settings, test_only: bool, leave_out: bool, as_json: bool) -> None:
    """Print what a freeze would do. Raises Refusal if a blocker prevents it."""
    from curation.split.freeze import refusal
    from curation.split.plan import plan_freeze
    from curation.store import open_store
    from rung.text.dataset_text import plan_json, plan_lines

    with open_store(project, settings) as store:
        plan = plan_freeze(store, project, settings, test_only=test_only, leave_out=leave_out, stage=note)
    if plan.blockers:
        raise refusal(plan)
    size = _size(settings, plan.sizes, plan.shares, plan.kept_test)
    show(as_json, plan_json(plan, size), plan_lines(plan, size))


def _size(
    settings: Settings, sizes: Mapping[Any, int], shares: Mapping[Any, float] | None, kept: str | None
) -> SmallestGain:
    """Return the power of this test set, with the rows it is split from where its share may still be chosen."""
    from rung.text.power_text import SmallestGain

    items, share = sizes.get("test", 0), (shares or {}).get("test", 0.0)
    rows = 0 if kept or not share else sum(sizes.values()) if len(sizes) > 1 else round(items / share)
    return SmallestGain(items, rows, settings.evaluation.margin, settings.dataset.gain, settings.dataset.group_by)

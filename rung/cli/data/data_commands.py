"""Commands of the group `data`."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Answer, Json, Question, Rejects, Sheet, System, goes_with
from rung.cli.output import (
    ProgressLine,
    bytes_line,
    keep_stdout_for_rows,
    new_folders,
    next_check,
    next_lines,
    note,
    show,
    warn_if_empty,
)
from rung.status.following import after_fix, after_leaks
from workspace.counted import counted
from workspace.errors import RungError

if TYPE_CHECKING:
    from curation.checks.base import Checkup, Options
    from curation.store import Store
    from rung.report.quality import Review
    from rung.text.power_text import SmallestGain
    from workspace.folder import Project
    from workspace.settings import Settings

data_app = typer.Typer(
    name="data",
    help="Rows: import, convert, check, deduplicate, freeze.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

NEAR = 0.8
"""Similarity from which rows of files are near."""


@data_app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file, a folder, or - for standard input.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write, JSON Lines (.gz is packed).")],
    fmt: Annotated[str, typer.Option("--format", help="Format of IN (auto: detected by its keys).")] = "auto",
    to: Annotated[
        str, typer.Option(help="chat, sharegpt, alpaca, prompt_completion, preference or label_studio.")
    ] = "chat",
    rejects: Rejects = None,
    question: Question = "",
    answer: Answer = "",
    system: System = "",
    sheet: Sheet = "",
    form: Annotated[str, typer.Option(help="auto, plain or conversational (prompt_completion, preference).")] = "auto",
    as_json: Json = False,
) -> None:
    """Convert rows to another format. Whatever the target format cannot hold is reported, never dropped silently."""
    from curation.rows import Columns
    from curation.rows.convert import ConvertOrder, convert

    order = ConvertOrder(source, out, fmt, to, rejects, Columns(question, answer, system, sheet), form)
    keep_stdout_for_rows(as_json, out, rejects)
    with new_folders(out, rejects):
        done = convert(order, notice=note, progress=bytes_line("Converting", source))
    warn_if_empty(done.read, source)
    rejected = f", {done.rejected:,} rejected" if done.rejected else ""
    lines = [f"{counted(done.read, 'row')}: {done.written:,} written{rejected}"]
    if done.rejected:
        lines.append(f"Rejected rows and their reasons: {rejects}. First: {done.first_reject}")
    show(as_json, asdict(done), [*lines, *next_check(out)])


@data_app.command()
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", help="Files to check (default: the project's rows).")
    ] = None,
    fmt: Annotated[str, typer.Option("--format", help="Format of the files (auto: detected by their keys).")] = "auto",
    show: Annotated[str, typer.Option(metavar="FINDING", help="Show one finding with all its rows, masked.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")] = None,
    words: Annotated[Path | None, typer.Option(help="A file of words to look for, one a line.")] = None,
    names: Annotated[
        str, typer.Option(metavar="auto|MODEL", help="Also look for names of persons, with presidio and a spaCy model.")
    ] = "",
    context: Annotated[int, typer.Option(min=0, help="Context length in tokens; 0: the model's own.")] = 0,
    smallest_class: Annotated[int, typer.Option(min=0, help="Minimum number of rows in a class.")] = 0,
    threshold: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Similarity at which rows of files count as near (0.8).")
    ] = None,
    question: Question = "",
    answer: Answer = "",
    system: System = "",
    sheet: Sheet = "",
    as_json: Json = False,
) -> None:
    """Run every quality check; list findings with reasons and rows. Exit 1 if a finding blocks the dataset."""
    from curation.checks.base import Options
    from curation.checks.private import name_finder
    from curation.checks.run import check_files
    from curation.rows import Columns
    from workspace.files import check_page

    check_page(html, inputs=[*(files or ()), *filter(None, [words])])
    of_files: dict[str, object] = {"--format": fmt != "auto", "--threshold": threshold is not None}
    of_files |= {"--question": question, "--answer": answer, "--system": system, "--sheet": sheet}
    goes_with("FILE", files, "rung data check FILE", of_files)
    finder = name_finder(names) if names else None
    options = Options(context, words=_listed(words), names=finder, smallest_class=smallest_class)
    size = None
    if files:
        line, columns = bytes_line("Reading", *files), Columns(question, answer, system, sheet)
        stage = (lambda title: note(f"{title} ...")) if line else lambda _: None
        near = NEAR if threshold is None else threshold
        checkup = check_files(
            files, fmt, columns=columns, options=options, threshold=near, progress=line, notice=note, stage=stage
        )
        warn_if_empty(checkup.read, *files)
    else:
        checkup, size = check_project_rows(options)
    if html:
        from rung.report.quality import write_quality_page

        write_quality_page(html, checkup, None if files else review_so_far())
        note(f"Page: {html}")
    _tell(checkup, size, show, files or [], as_json)
    if checkup.stopped or checkup.blocking:
        raise typer.Exit(130 if checkup.stopped else 1)


def _tell(checkup: Checkup, size: SmallestGain | None, name: str, files: list[Path], as_json: bool) -> None:
    """Print the findings, or the one of this name with all its rows. Raises RungError if there is none."""
    from rung.status.stages import next_step
    from rung.text import checks_text
    from workspace.folder import require_project

    command = f"rung data check {shlex.join(map(str, files))}".rstrip()
    more = list(size.lines()) if size else []
    step = "" if files else next_step(require_project())
    lines = list(checks_text.one(checkup, name) if name else checks_text.lines(checkup, command, step, more))
    found = checkup.as_json()
    if size:
        found["test_set"] = {"items": size.items, "smallest_gain": size.smallest_gain}
    if name:
        found["findings"] = [each for each in found["findings"] if each["name"] == name]
    show(as_json, found, lines)


@data_app.command()
def fix(
    findings: Annotated[
        list[str] | None, typer.Argument(metavar="FINDING...", help="Findings, e.g. leaks, or leaks:KEY for one pair.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every finding that has a fix.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="ROW", help="Of contradictions: a row with the right answer; the other is taken out."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show what would be done; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Fix findings: take their rows out, or send them to review. `rung data undo` reverses it."""
    from curation.checks.fixes import CONTRADICTIONS, fix, settle
    from curation.review import refresh_queue

    if bool(findings) == everything:
        raise RungError("Name findings, or use --all.", "rung data check lists them")
    if keep and findings != [CONTRADICTIONS]:
        raise RungError("--keep settles contradictions only.", f"rung data fix {CONTRADICTIONS} --keep {keep[0]}")
    with _open_project() as (store, project, settings):
        checkup = _checkup(store, project, settings)
        names = list(findings or [])
        who = settings.project.person
        if keep:
            done = [settle(store, checkup, keep, actor=who, dry_run=dry_run)]
        else:
            again = partial(_checkup, store, project, settings)
            done = fix(store, checkup, names, actor=who, again=again, dry_run=dry_run)
        if not dry_run:
            refresh_queue(store, settings)
    asked = dict.fromkeys(names or [each.finding for each in done])
    left = [name for name, each in zip(asked, done, strict=True) if each.rows and dry_run]
    lines = [each.words() for each in done] or ["Nothing to fix."]
    show(as_json, [asdict(each) for each in done], chain(lines, next_lines(project, after_fix(left, keep or (), ""))))


@data_app.command()
def dismiss(
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Finding, e.g. leaks, or leaks:KEY for one pair.")],
    by: Annotated[str, typer.Option(help="Your name.")] = "",
    reason: Annotated[str, typer.Option(help="Why it is a false alarm.")] = "",
    as_json: Json = False,
) -> None:
    """Dismiss a finding as a false alarm. Your name and reason are recorded; a leak is dismissed pair by pair."""
    from curation.checks.fixes import dismiss

    with _open_project() as (store, project, settings):
        checkup = _checkup(store, project, settings)
        event = dismiss(store, checkup, finding, by=by, reason=reason)
    told = f"{finding} no longer counts as a finding: {reason} ({by})."
    document = {"finding": finding, "by": by, "reason": reason, "event": event}
    show(as_json, document, chain([told], next_lines(project)))


@data_app.command()
def undo(as_json: Json = False) -> None:
    """Undo the last fix, dismissal or import."""
    from curation.checks.fixes import undo
    from curation.review import refresh_queue

    with _open_project() as (store, project, settings):
        done = undo(store, project, settings, actor=settings.project.person)
        refresh_queue(store, settings)
    show(as_json, {"undone": done}, chain([done], next_lines(project)))


@data_app.command()
def dedup(
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Files, folders, or - for standard input.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File for the kept lines, byte for byte.")],
    threshold: Annotated[float, typer.Option(help="Similarity at which two questions count as near.")] = 0.8,
    removed: Annotated[Path | None, typer.Option(help="File that lists each removed line with the kept one.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="File that lists contradictions and near pairs; both rows stay.")
    ] = None,
    rejects: Rejects = None,
    sheet: Sheet = "",
    exact: Annotated[bool, typer.Option("--exact", help="Compare all pairs exactly; slower, misses none.")] = False,
    engine: Annotated[str, typer.Option(help="local, or ray for several machines.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Number of processes that read and hash.")] = 1,
    as_json: Json = False,
) -> None:
    """Keep one row of each cluster of duplicates: same question, word for word or nearly, and same answer."""
    if engine not in ("local", "ray"):
        raise RungError(f'--engine "{engine}" is not known.', "one of: local, ray", found=engine)
    from curation.likeness.files import DedupOrder, dedup_files
    from rung.text.checks_text import dedup_lines

    order = DedupOrder(
        tuple(sources), out, threshold, removed, pairs, rejects, "exact" if exact else None, workers, engine, sheet
    )
    keep_stdout_for_rows(as_json, out, removed, pairs, rejects)
    with new_folders(out, removed, pairs, rejects):
        report = dedup_files(order, ProgressLine("Reading bytes"))
    warn_if_empty(report["read"], *sources)
    show(as_json, report, chain(dedup_lines(report, listed=pairs is not None), next_check(out)))


@data_app.command()
def leakage(
    train: Annotated[list[Path], typer.Option(help="The training rows; may be given more than once.")],
    test: Annotated[list[Path], typer.Option(help="The test rows, or a benchmark; may be given more than once.")],
    clean: Annotated[Path | None, typer.Option(help="File for the train lines that leak nothing.")] = None,
    semantic: Annotated[bool, typer.Option("--semantic", help="Also compare meanings, with a small model.")] = False,
    semantic_model: Annotated[
        Path | None, typer.Option(help="A folder with an embedding model, instead of the packaged one.")
    ] = None,
    semantic_threshold: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Cosine at which two rows count as the same in meaning.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find test items that occur in training rows, verbatim or lightly edited."""
    from curation.likeness.files import check_files
    from rung.text.checks_text import leak_lines

    embedder = None
    if semantic or semantic_model is not None:
        from chat.local.embed import open_embedder

        embedder = open_embedder(semantic_model)
    keep_stdout_for_rows(as_json, clean)
    with new_folders(clean):
        checked = check_files(train, test, clean, ProgressLine("Reading bytes"), embedder, semantic_threshold)
    warn_if_empty(checked.report.train, *train)
    warn_if_empty(checked.report.test, *test)
    again = ["", f"Next: {after_leaks(train, test)}"] if checked.report.leaks else []
    lines = chain(leak_lines(checked, clean), next_check(clean) if clean else again)
    show(as_json, checked.document(), lines)
    raise typer.Exit(1 if checked.report.leaks else 0)


@contextlib.contextmanager
def _open_project() -> Iterator[tuple[Store, Project, Settings]]:
    from curation.store import open_store
    from workspace.settings import opened_project

    project, settings = opened_project()
    with open_store(project, settings) as store:
        yield store, project, settings


def check_project_rows(options: Options | None = None) -> tuple[Checkup, SmallestGain | None]:
    """Run the checks; return the result and the power of the test set (the imported one, else the one frozen last)."""
    from curation.checks.run import check_project
    from curation.split.manifest import newest_dataset, read_manifest
    from rung.text.power_text import SmallestGain

    with _open_project() as (store, project, settings):
        frozen = newest_dataset(project)
        items = len(store.rows(role="test", excluded=False))
        if not items and frozen and (split := read_manifest(frozen).splits.get("test")):
            items = split.rows
        size = (
            SmallestGain(items, 0, settings.evaluation.margin, settings.dataset.gain, settings.dataset.group_by)
            if items
            else None
        )
        return check_project(store, project, settings, options), size


def review_so_far() -> Review:
    """Return rows by state of review over all roles, and how many decisions each reviewer made."""
    from curation.review.people import person_progress
    from rung.report.quality import Review

    with _open_project() as (store, _, _):
        states: Counter[str] = Counter()
        for by_state in store.counts().values():
            states.update(by_state)
        return Review(states, {person.name: person.decided for person in person_progress(store)})


def _checkup(store: Store, project: Project, settings: Settings, without: frozenset[str] = frozenset()) -> Checkup:
    """Check a project as if the rows `without` were taken out. What acts on the result does not go on after Ctrl-C."""
    from curation.checks.base import Options
    from curation.checks.run import check_project

    found = check_project(store, project, settings, Options(without=without))
    if found.stopped:
        raise KeyboardInterrupt
    return found


def _listed(file: Path | None) -> tuple[str, ...]:
    """Return the words of a file, one a line; lines that begin with # are remarks."""
    from workspace.files import read_utf8

    lines = read_utf8(file).split("\n") if file else []
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))

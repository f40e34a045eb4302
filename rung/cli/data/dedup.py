"""`rung data dedup` and `rung data leakage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json, Rejects, Sheet
from rung.cli.output import ProgressLine, emit, keep_stdout_for_rows, new_folders, say, say_next_check, warn_if_empty
from rung.status.following import after_leaks
from workspace.errors import RungError

if TYPE_CHECKING:
    from chat.protocols import Embedder


def register_data(data_app: typer.Typer) -> None:
    """Add the two commands to `rung data`."""
    data_app.command("dedup")(dedup)
    data_app.command("leakage")(leakage)


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
    if as_json:
        emit(report)
        return
    for line in dedup_lines(report, listed=pairs is not None):
        say(line)
    say_next_check(out)


def _embedder(semantic: bool, folder: Path | None) -> Embedder | None:
    """Return the model that meanings are compared with, where that was asked."""
    if not semantic and folder is None:
        return None
    from chat.local.embed import open_embedder

    return open_embedder(folder)


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

    embedder = _embedder(semantic, semantic_model)
    keep_stdout_for_rows(as_json, clean)
    with new_folders(clean):
        checked = check_files(train, test, clean, ProgressLine("Reading bytes"), embedder, semantic_threshold)
    warn_if_empty(checked.report.train, *train)
    warn_if_empty(checked.report.test, *test)
    if as_json:
        emit(checked.document())
    else:
        for line in leak_lines(checked, clean):
            say(line)
        if clean is not None:
            say_next_check(clean)
        elif checked.report.leaks:
            say(f"\nNext: {after_leaks(train, test)}")
    raise typer.Exit(1 if checked.report.leaks else 0)

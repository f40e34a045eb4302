"""`rung data dedup` and `rung data leakage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json, Rejects, Sheet
from rung.cli.output import ProgressLine, emit, keep_stdout_for_rows, new_folders, say, say_next_check, warn_if_empty
from rung.status.following import after_leaks
from workspace.counted import counted
from workspace.errors import RungError
from workspace.json_types import JsonObject

if TYPE_CHECKING:
    from chat.protocols import Embedder
    from curation.likeness.files import LeakCheck
    from curation.likeness.leaks.report import Leak
    from curation.likeness.semantic import Meaning

SHOWN = 10


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
    _say_dedup(report, out, pairs)


def _embedder(semantic: bool, folder: Path | None) -> Embedder | None:
    """Return the model that meanings are compared with, where that was asked."""
    if not semantic and folder is None:
        return None
    from chat.local.embed import open_embedder

    return open_embedder(folder)


def _say_dedup(report: JsonObject, out: Path, pairs: Path | None) -> None:
    from rung.text.checks_text import lines_seen

    say(lines_seen(report["read"], report["kept"], report["exact"], report["near"], report.get("rejected", 0)))
    if report["template"]:
        say(f"Ignored in the comparison, because most rows share it: {report['template']}")
    of = "the cluster" if report["clusters"] == 1 else f"each of {report['clusters']:,} clusters"
    say(f"\n✓ Duplicates      {report['exact'] + report['near']:>7,}  1 kept of {of}")
    for key, name, text in (
        ("contradictions", "Contradictions", "one question, different answers; both stay"),
        ("minimal_pairs", "Minimal pairs", "near questions, different answers; both stay"),
        ("short_near", "Short near", "short questions with nearly the same letters; both stay"),
    ):
        if report[key]:
            say(f"! {name:<15} {report[key]:>7,}  {text}")
    if pairs is None and any(report[key] for key in ("contradictions", "minimal_pairs", "short_near")):
        say("  To list them: --pairs FILE")
    say_next_check(out)


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

    embedder = _embedder(semantic, semantic_model)
    keep_stdout_for_rows(as_json, clean)
    with new_folders(clean):
        checked = check_files(train, test, clean, ProgressLine("Reading bytes"), embedder, semantic_threshold)
    warn_if_empty(checked.report.train, *train)
    warn_if_empty(checked.report.test, *test)
    if as_json:
        emit(checked.document())
    else:
        _say_leakage(checked, train, test, clean)
    raise typer.Exit(1 if checked.report.leaks else 0)


def _say_leakage(checked: LeakCheck, train: list[Path], test: list[Path], clean: Path | None) -> None:
    report = checked.report
    of = f"{counted(report.test, 'test item')} in {counted(report.train, 'train row')}"
    verb = "leaks" if report.leaked_test == 1 else "leak"
    say(f"No leak of {of}." if not report.leaks else f"{report.leaked_test:,} of {of} {verb}.")
    strongest = list(report.strongest().values())
    for leak in strongest[:SHOWN]:
        say(f"✗ {_words(checked, leak)}")
    if len(strongest) > SHOWN:
        say(f"  {len(strongest) - SHOWN:,} more: --json")
    if report.suspects:
        say(f"\n! {counted(len(report.suspects), 'suspect')} to check; a suspect does not count as a leak.")
        for leak in report.suspects[:SHOWN]:
            say(f"  {_words(checked, leak)}  ({leak.evidence.why})")
    if checked.meaning is not None:
        _say_paraphrases(checked, checked.meaning)
    if clean is not None and checked.removed is not None:
        say(f"\n{counted(report.train - checked.removed, 'clean row')} in {clean}; {checked.removed:,} left out.")
        say_next_check(clean)
    elif report.leaks:
        say(f"\nNext: {after_leaks(train, test)}")


def _say_paraphrases(checked: LeakCheck, meaning: Meaning) -> None:
    """Print how many pairs are paraphrases, how often that judgement is right, and the first of them."""
    semantic = meaning.as_json()
    sample, right = semantic["sample"], "The precision of this model is not known."
    if sample:
        right = (
            f"On a labelled sample at {sample['threshold']:g}: {sample['precision']:.0%} of the pairs were right,"
            f" {sample['recall']:.0%} of the paraphrases were found."
        )
    told = f"same meaning, other words, by {meaning.model}; please check them"
    say(f"\n! {'Paraphrases':<15} {len(meaning.pairs):>7,}  {told}")
    say(f"  Cosine {meaning.threshold:g} or more. {right}")
    for row, item, score in meaning.pairs[:SHOWN]:
        test, train = (f"{file}:{line}" for file, line in (checked.test.where(item), checked.train.where(row)))
        say(f"  {test} and {train}   {score:.2f}")


def _words(checked: LeakCheck, leak: Leak) -> str:
    test_file, test_line = checked.test.where(leak.test)
    train_file, train_line = checked.train.where(leak.train)
    shared = leak.evidence.shared
    quote = f"{shared[:57]}..." if len(shared) > 60 else shared
    return (
        f"{test_file}:{test_line} and {train_file}:{train_line}   {leak.kind}, {leak.score:.2f},"
        f" {leak.answer} answer   {quote!r}"
    )

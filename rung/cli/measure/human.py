"""`rung evaluate --human`: people compare outputs, blind, line by line or through files."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.counted import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.people.comparison import BlindComparison
    from evaluation.people.pairings import Pairing
    from workspace.folder import Project
    from workspace.settings import Settings


def compare_blind(
    project: Project,
    settings: Settings,
    run: str | None,
    rater: str,
    items: int,
    sheet: Path | None,
    answers: Sequence[Path],
    reveal: bool,
    unmask: bool,
    as_json: bool,
) -> None:
    """Make the comparison, take answers into it, or end it."""
    from evaluation.people.comparison import open_comparison
    from rung.cli.options import at_most_one
    from workspace.errors import RungError
    from workspace.files import check_sheet

    for other, value in (("--answers", answers), ("--reveal", reveal)):
        at_most_one({"--sheet": sheet, other: value})
    check_sheet(sheet)
    comparison = open_comparison(project, run, items)
    who = rater.strip() or settings.project.person
    if sheet is not None:
        if unmask:
            _log(project, settings, who, f"{comparison.folder.parent.name}/human", comparison.asked)
        return _write(comparison, sheet, who, unmask, as_json)
    for path in answers:
        comparison.take_sheet(who if len(answers) == 1 else path.stem, path)
    if reveal:
        return _reveal(project, comparison, as_json)
    if not answers and not as_json:
        if not sys.stdin.isatty():
            raise RungError("No terminal to ask on.", "rung evaluate --human --sheet FILE, or rung review serve")
        _ask_all(project, settings, comparison, who, unmask)
    return _standing(comparison, as_json)


def _write(comparison: BlindComparison, sheet: Path, who: str, unmask: bool, as_json: bool) -> None:
    """A sheet to be filled in elsewhere."""
    from evaluation.people.pairings import write_sheet
    from rung.cli.output import emit, say
    from workspace.files import write_text

    run, place = comparison.plan.run, shlex.quote(str(sheet))
    write_text(sheet, write_sheet(comparison.pairings, masked=not unmask))
    if as_json:
        return emit({"run": run, "sheet": str(sheet), "comparisons": len(comparison.pairings)})
    say(f"{sheet}: fill in choice (a, b or tie) and reason, then")
    return say(f"Next: rung evaluate {run} --human --rater {shlex.quote(who)} --answers {place}")


def _log(project: Project, settings: Settings, person: str, ref: str, pairings: Sequence[Pairing]) -> None:
    """Log who sees unmasked data before it is shown; nothing to log where nothing is masked."""
    from evaluation.people.blinding import log_shown

    found = frozenset().union(*(pairing.veil.found for pairing in pairings))
    if found:
        log_shown(project, settings, person, ref, found)


def _ask_all(project: Project, settings: Settings, comparison: BlindComparison, rater: str, unmask: bool) -> None:
    import typer

    from rung.cli.output import say
    from rung.report.page import shown

    while (pairing := comparison.next_for(rater)) is not None:
        veil = pairing.veil
        if unmask:
            _log(project, settings, rater, comparison.ref(pairing.id), [pairing])
        question, a, b = (pairing.question, pairing.a, pairing.b) if unmask else veil.texts
        say(f"\n{pairing.id} of {len(comparison.pairings)}   {shown(question, 1500)}")
        say(f"  A  {shown(a, 1500)}")
        say(f"  B  {shown(b, 1500)}")
        if veil.found:
            say(
                f"Shown unmasked: {veil.words}"
                if unmask
                else f"Hidden: {veil.words}; --unmask shows them and is recorded in the log"
            )
        choice = ""
        while choice not in ("a", "b", "tie", "q"):
            choice = {"t": "tie"}.get(said := typer.prompt("Better: a, b, t (tie), q (stop)").strip().lower(), said)
        if choice == "q":
            return
        reason = typer.prompt("Why (optional)", default="", show_default=False)
        comparison.record(rater, pairing.id, choice, reason)


def _standing(comparison: BlindComparison, as_json: bool) -> None:
    """Print the progress of each rater, never their choices."""
    from rung.cli.output import emit, say
    from rung.text.judge_text import comparisons_needed

    made = len(comparison.pairings)
    same = made - len(comparison.asked)
    if as_json:
        raters = {name: {"done": done, "of": of} for name, (done, of) in comparison.standing().items()}
        return emit({"run": comparison.plan.run, "comparisons": made, "equal": same, "raters": raters})
    say(f"{counted(made, 'comparison')}; {same:,} have equal outputs and count as ties.")
    for rater, (done, wanted) in comparison.standing().items():
        say(f"  {rater}: {done} of {wanted}")
    say(comparisons_needed())
    say("In a browser: rung review serve, then /compare")
    return say(f"\nNext: rung evaluate {comparison.plan.run} --human --reveal")


def _reveal(project: Project, comparison: BlindComparison, as_json: bool) -> None:
    """Only where every rater answered everything; the report shows it from then on."""
    from rung.cli.output import emit, say
    from rung.report.evaluation import write_page
    from rung.text.judge_text import preference_words

    found = comparison.reveal()
    write_page(project, comparison.folder.parent)
    if as_json:
        raters = list(comparison.standing())
        against = [p.model_dump(mode="json") for p in found]
        return emit({"run": comparison.plan.run, "raters": raters, "against": against})
    for preference in found:
        for line in preference_words(preference):
            say(line)
    return None

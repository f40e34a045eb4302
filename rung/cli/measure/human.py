"""`rung evaluate --human`: people compare outputs, blind, in a browser or on sheets."""

from collections.abc import Sequence
from pathlib import Path

from evaluation.blinding import log_shown
from evaluation.people_comparison import BlindComparison, open_comparison, write_sheet
from rung.cli.options import at_most_one
from rung.cli.output import emit, say, show
from rung.report.evaluation import write_page
from rung.status.following import CHOICES, PAIR_SHEET, after
from rung.text.judge_text import comparisons_needed, preference_words
from workspace.counted import counted
from workspace.errors import RungError
from workspace.files import check_sheet, write_text
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
    for other, value in (("--answers", answers), ("--reveal", reveal)):
        at_most_one({"--sheet": sheet, other: value})
    check_sheet(sheet)
    comparison = open_comparison(project, run, items)
    who = rater.strip() or settings.project.person
    if sheet is not None:
        found = frozenset().union(*(pairing.veil.found for pairing in comparison.asked))
        if unmask and found:
            log_shown(project, settings, who, f"{comparison.folder.parent.name}/human", found)
        return _write(comparison, sheet, who, unmask, as_json)
    if unmask:
        raise RungError("--unmask: no sheet is asked for.", "--sheet FILE", expected="--sheet FILE")
    for path in answers:
        comparison.take_sheet(who if len(answers) == 1 else path.stem, path)
    if reveal:
        return _reveal(project, comparison, as_json)
    return _standing(comparison, as_json)


def _write(comparison: BlindComparison, sheet: Path, who: str, unmask: bool, as_json: bool) -> None:
    run = comparison.plan.run
    write_text(sheet, write_sheet(comparison.pairings, masked=not unmask))
    step = f"Next: {after(PAIR_SHEET, run=run, rater=who, file=sheet)}"
    document = {"run": run, "sheet": str(sheet), "comparisons": len(comparison.pairings)}
    show(as_json, document, [f"{sheet}: fill in choice (a, b or tie) and reason, then", step])


def _standing(comparison: BlindComparison, as_json: bool) -> None:
    """Print the progress of each rater, never their choices."""
    made = len(comparison.pairings)
    same = made - len(comparison.asked)
    if as_json:
        raters = {name: {"done": done, "of": of} for name, (done, of) in comparison.standing().items()}
        return emit({"run": comparison.plan.run, "comparisons": made, "equal": same, "raters": raters})
    say(f"{counted(made, 'comparison')}; {same:,} have equal outputs and count as ties.")
    for rater, (done, wanted) in comparison.standing().items():
        say(f"  {rater}: {done} of {wanted}")
    say(comparisons_needed())
    say("To answer: rung review serve, then /compare; or --sheet FILE, and --answers FILE")
    return say(f"\nNext: {after(CHOICES, run=comparison.plan.run)}")


def _reveal(project: Project, comparison: BlindComparison, as_json: bool) -> None:
    """Show the result once every rater has answered everything; the report shows it from then on."""
    found = comparison.reveal()
    write_page(project, comparison.folder.parent)
    against = [preference.model_dump(mode="json") for preference in found]
    document = {"run": comparison.plan.run, "raters": list(comparison.standing()), "against": against}
    show(as_json, document, (line for preference in found for line in preference_words(preference)))

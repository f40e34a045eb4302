"""The two lists of an evaluation page: what it costs, and what could be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.compare import TOLERANCE
from evaluation.report import ArmResult, Report
from evaluation.verdict import Verdict
from rung.report.figures import arm_name, duration, money, percent, points
from rung.report.price_words import rows as price_rows
from workspace.folder import Project

ABOUT_DATA = "about-data.md"


def costs(report: Report, verdict: Verdict | None, arms: Sequence[ArmResult]) -> list[tuple[str, str]]:
    """Name and text: the price of a tuned model where there is a verdict, else a call of the best arm; and what
    measuring took.
    """
    price = verdict.price if verdict else None
    chosen = verdict.chosen if verdict else report.chosen
    rows = price_rows(price) if price else [_call(arm) for arm in arms if arm.arm in (chosen, "tuned")]
    total = [arm.cost_usd for arm in arms]
    cost = None if None in total else sum(cost or 0.0 for cost in total)
    rows.append(("measuring", f"{duration(sum(a.seconds for a in arms))}, {money(cost)}"))
    if verdict:
        rows.append(("worth", worth(verdict)))
    return rows


def worth(verdict: Verdict) -> str:
    """What the difference means in 1,000 answers, or in points where scores are graded; it says where none is shown."""
    if verdict.low <= 0 <= verdict.high:
        return "nothing shown: the interval holds no difference"
    if verdict.graded:
        return f"{points(verdict.difference)} of mean score"
    fewer = round(1000 * verdict.difference)
    return f"{abs(fewer):,} {'fewer' if fewer >= 0 else 'more'} wrong answers in 1,000"


def _call(arm: ArmResult) -> tuple[str, str]:
    each = "time unknown" if arm.p50_seconds is None else f"{duration(arm.p50_seconds)} each (p50)"
    read, written = arm.input_tokens / arm.n, arm.output_tokens / arm.n
    return arm_name(arm.arm), f"{read:.0f} tokens in, {written:.0f} out a call, {each}"


def threats(
    project: Project, report: Report, verdict: Verdict | None, arms: Sequence[ArmResult], notes: Sequence[str]
) -> list[tuple[str, str]]:
    """Symbol and text, the most pressing first; `notes` are the reports' own."""
    rows = [("!", note) for note in (verdict.notes if verdict else ())]
    rows += [("!", line) for line in about_data(project)]
    rows += _unseen(report, verdict)
    cut = [f"{arm_name(a.arm)} {a.cut}" for a in arms if a.cut]
    if cut:
        rows.append(("!", f"answers cut at the token limit, of {report.n:,}: {', '.join(cut)}"))
    rows += [("!", f"{arm_name(a.arm)}: {a.failures} of {a.n} asks brought no answer") for a in arms if a.failures]
    for form in ("free", "held"):
        tied = [arm_name(a.arm) for a in arms if a.prompted and a.form == form and _tied(a)]
        if tied:
            rows.append(("!", f"free and held tied on validation, so {TIED[form]}: {', '.join(tied)}"))
    if verdict:
        rows.append(_retraining(verdict))
    rows.append(("!", "where test texts are public, the base model may have read them"))
    rows += [("!", note) for note in notes]
    goal = report.goal
    if goal is not None and report.chosen:
        rows.append(("✓", f"the goal of {percent(goal)} was named before the test was opened"))
    rows.append(("✓", f"test items unchanged since they were frozen ({report.test_sha256[:8]})"))
    if any(arm.validation is not None for arm in arms):
        rows.append(("✓", "settings were chosen on other rows than these"))
    return rows


TIED = {
    "free": "the test was answered free",
    "held": "the test was answered held, where fewer answers miss the form",
}


def _tied(arm: ArmResult) -> bool:
    """Whether validation could not tell the forms apart, and the one that was taken left room for the other."""
    forms = arm.validation_forms
    return {"free", "held"} <= forms.keys() and abs(forms["free"] - forms["held"]) <= TOLERANCE and arm.score < 1


def _unseen(report: Report, verdict: Verdict | None) -> list[tuple[str, str]]:
    """What these items, and trainings, cannot tell from chance."""
    seen, again = (verdict or report).smallest_difference, verdict.trainings if verdict else []
    counted = verdict is not None and verdict.trainings_spread is not None
    if seen is None:
        told = f"{len(again)} trainings scatter so far that no difference is told from chance"
        return [("!", told)] if counted else []
    more = f" and {len(again)} trainings" if counted else ", another training not counted" if verdict else ""
    return [("!", f"differences under about {100 * seen:.0f} points stay unseen with {report.n:,} items{more}")]


def _retraining(verdict: Verdict) -> tuple[str, str]:
    if not verdict.trainings:
        return "!", "one training: another seed may score otherwise, and the interval does not show it"
    scores = ", ".join(percent(training.score) for training in verdict.trainings)
    return "✓", f"{len(verdict.trainings)} trainings with other seeds ({scores}): the interval includes retraining"


def about_data(project: Project) -> list[str]:
    """What the team says of its data, a line a point; of a file in another encoding what can be read."""
    path = project.root / ABOUT_DATA
    if not path.is_file():
        return []
    return [
        line.lstrip("-* ").strip()
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        if line.strip()
    ]

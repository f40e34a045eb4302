"""The two lists of an evaluation page: what it costs, and what could be wrong."""

from collections.abc import Sequence

from evaluation.arms.registry import arm_name
from evaluation.measurement_report import ArmResult, Report
from evaluation.verdict.intervals import TOLERANCE
from evaluation.verdict.price import call_of
from evaluation.verdict.rule import Verdict
from rung.text.verdict_text import call_words, price_rows, wrong_answers
from workspace.counted import duration, money, percent, points
from workspace.folder import Project

ABOUT_DATA = "about-data.md"


def costs(report: Report, verdict: Verdict | None, arms: Sequence[ArmResult]) -> list[tuple[str, str]]:
    """Return (name, text): the tuned model's price, or without a verdict a call of the best arm; cost of measuring."""
    price = verdict.price if verdict else None
    chosen = verdict.chosen if verdict else report.chosen
    rows = (
        price_rows(price)
        if price
        else [(arm_name(arm.arm), call_words(call_of(arm))) for arm in arms if arm.arm in (chosen, "tuned")]
    )
    total = [arm.cost_usd for arm in arms]
    cost = None if None in total else sum(cost or 0.0 for cost in total)
    rows.append(("measuring", f"{duration(sum(a.seconds for a in arms))}, {money(cost)}"))
    if verdict:
        rows.append(("worth", worth(verdict)))
    return rows


def worth(verdict: Verdict) -> str:
    """Return what the difference means in 1,000 answers, or in points where scores are graded."""
    if verdict.low <= 0 <= verdict.high:
        return "no difference shown: the interval includes zero"
    if verdict.graded:
        return f"{points(verdict.difference)} of mean score"
    return wrong_answers(verdict.difference)


def threats(
    project: Project, report: Report, verdict: Verdict | None, arms: Sequence[ArmResult], notes: Sequence[str]
) -> list[tuple[str, str]]:
    """Return symbol and sentence, the most pressing first; `notes` are the reports' own."""
    rows = []
    if verdict and verdict.price and verdict.price.review_hours is not None and not verdict.price.review_people:
        rows.append(("!", "no person has reviewed the rows: a program approved them"))
    rows += [("!", note) for note in (verdict.notes if verdict else ())]
    rows += [("!", line) for line in about_data(project)]
    if verdict:
        rows.append(_retraining(verdict))
    rows += _unseen(report, verdict)
    cut = [f"{arm_name(a.arm)} {a.cut}" for a in arms if a.cut]
    if cut:
        rows.append(("!", f"answers cut off at the token limit, of {report.n:,}: {', '.join(cut)}"))
    rows += [("!", f"{arm_name(a.arm)}: {a.failures} of {a.n} requests failed") for a in arms if a.failures]
    rows.append(("!", "if the test texts are public, the base model may have been trained on them"))
    rows += [("!", note) for note in notes]
    goal = report.goal
    if goal is not None and report.chosen:
        rows.append(("✓", f"the goal of {percent(goal)} was set before the test was measured"))
    rows.append(("✓", f"test items unchanged since they were frozen ({report.test_sha256[:8]})"))
    if any(arm.validation is not None for arm in arms):
        rows.append(("✓", "settings were chosen on validation rows, not on test items"))
    return [(symbol, as_sentence(text)) for symbol, text in rows]


def tied_forms(arms: Sequence[ArmResult]) -> list[str]:
    """Return a line for each form of answer that was used only because both forms tied on validation."""
    lines = []
    for form, words in TIED.items():
        if named := [arm_name(a.arm) for a in arms if a.prompted and a.form == form and _tied(a)]:
            lines.append(f"{words}, because both tied on validation: {', '.join(named)}.")
    return lines


TIED = {
    "free": "Answers on the test were not constrained to the possible answers",
    "held": "Answers on the test were constrained to the possible answers",
}


def _tied(arm: ArmResult) -> bool:
    """True if both forms tied on validation, and the test score leaves room for the other one."""
    forms = arm.validation_forms
    return {"free", "held"} <= forms.keys() and abs(forms["free"] - forms["held"]) <= TOLERANCE and arm.score < 1


def _unseen(report: Report, verdict: Verdict | None) -> list[tuple[str, str]]:
    """Return what these items, and training runs, cannot distinguish from chance."""
    seen, again = (verdict or report).smallest_difference, verdict.trainings if verdict else []
    counted = verdict is not None and verdict.trainings_spread is not None
    if seen is None:
        told = f"the scores of {len(again)} training runs vary so much that no difference is detectable"
        return [("!", told)] if counted else []
    more = f" and {len(again)} training runs" if counted else " and one training run" if verdict else ""
    return [("!", f"differences under about {100 * seen:.0f} points are not detectable with {report.n:,} items{more}")]


def _retraining(verdict: Verdict) -> tuple[str, str]:
    if not verdict.trainings:
        return "!", "one training run: another seed may score differently, and the interval does not include that"
    scores = ", ".join(percent(training.score) for training in verdict.trainings)
    return "✓", f"{len(verdict.trainings)} training runs with different seeds ({scores}): the interval includes them"


def about_data(project: Project) -> list[str]:
    """Return the team's remarks on its data, one a line; characters in another encoding are replaced."""
    path = project.root / ABOUT_DATA
    if not path.is_file():
        return []
    return [
        line.lstrip("-* ").strip()
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        if line.strip()
    ]


def as_sentence(note: str) -> str:
    """Return a note as a sentence: a capital letter first, unless a file name is, and a full stop last."""
    text = note.strip()
    first = text.split(maxsplit=1)[0] if text else ""
    start = text if set("./_`") & set(first) else f"{text[:1].upper()}{text[1:]}"
    return start if start.endswith((".", "!", "?")) else f"{start}."

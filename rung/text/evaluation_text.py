"""Lists of an evaluation page: what it costs, what could be wrong, and how far a judge agrees with people."""

from collections.abc import Sequence

from evaluation.arms.registry import arm_name
from evaluation.judge.model_judge import JudgedArm, JudgedRival, JudgeReport
from evaluation.measurement_report import ArmResult, Report
from evaluation.people_comparison import PeoplePreference, items_for
from evaluation.verdict.evidence import call_of
from evaluation.verdict.intervals import TOLERANCE
from evaluation.verdict.rule import Verdict
from rung.text.baseline_text import paid
from rung.text.verdict_text import call_words, judge_sentence, price_rows, wrong_answers
from workspace.counted import counted, duration, percent, points, signed_interval
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
    rows.append(("measuring", f"{duration(sum(a.seconds for a in arms))}, {paid(arms)}"))
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
    seen, again = (verdict or report).smallest_difference, verdict.trainings if verdict else []
    several = verdict is not None and verdict.trainings_spread is not None
    if seen is None:
        told = f"the scores of {len(again)} training runs vary so much that no difference is detectable"
        return [("!", told)] if several else []
    more = f" and {len(again)} training runs" if several else " and one training run" if verdict else ""
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


KINDS = {"rubric": "yes or no by judge.md", "score": "1 to 5 by judge.md", "pairs": "the better of two by judge.md"}


def judge_lines(report: JudgeReport) -> list[str]:
    """Return the sentence, each arm, each difference, and the biases."""
    out = [judge_sentence(report), f"Judge: {report.model}, {KINDS[report.kind]}", ""]
    out += [arm_line(arm) for arm in report.arms]
    out += [rival_line(rival, report) for rival in report.rivals]
    return [*out, *biases(report), *(f"! {note}" for note in report.notes)]


def comparisons_needed() -> str:
    """Return the number of blind comparisons that an interval of a given width needs, in words."""
    wide, narrow = items_for(0.2), items_for(0.1)
    return (
        f"An interval of 20 points to each side needs about {wide} items for each rival, of 10 points about {narrow}."
    )


def arm_line(arm: JudgedArm) -> str:
    """Return one arm: its raw mean, people's agreement, and the corrected mean."""
    rates = ", ".join(
        f"{word} {value:.2f} (at least {low:.2f})" if value is not None else f"{word} unknown"
        for word, value, low in (
            ("sensitivity", arm.sensitivity, arm.sensitivity_low),
            ("specificity", arm.specificity, arm.specificity_low),
        )
    )
    name = f"{arm_name(arm.arm):<24}"
    return f"{name} {percent(arm.raw)} by the judge on {arm.n} items; people labelled {arm.labelled}: {rates}"


def rival_line(rival: JudgedRival, report: JudgeReport) -> str:
    """Tuned minus the arm, raw, and corrected where it may be."""
    name = f"over {arm_name(rival.arm)}"
    if rival.corrected is None or rival.low is None or rival.high is None:
        return f"{name:<24} {points(rival.raw)} by the judge, not corrected"
    bounds = signed_interval(rival.low, rival.high, report.confidence)
    return f"{name:<24} {points(rival.raw)} by the judge, {points(rival.corrected)} {bounds} corrected by human labels"


def biases(report: JudgeReport) -> list[str]:
    """Return the judge's preference for longer outputs, if measured, and who labelled."""
    told = []
    for arm in report.arms:
        if arm.length_bias is not None:
            lean = f"{points(arm.length_bias)} more than people do"
            told.append(f"length: it scores the longer outputs of {arm_name(arm.arm)} higher, by {lean}")
    if report.raters:
        agree = f", alpha {report.alpha:.2f}" if report.alpha is not None else ""
        told.append(f"people: {', '.join(report.raters)}{agree}")
    return told


def preference_words(p: PeoplePreference) -> list[str]:
    """Return one rival: how often the tuned model was preferred, with the interval, agreement and reasons."""
    better = (
        f"preferred {counted(p.wins, 'time')}, {arm_name(p.rival)} {p.losses}, ties {p.ties}, equal outputs {p.same}"
    )
    lines = [f"tuned against {arm_name(p.rival)}: {points(p.difference)} {signed_interval(p.low, p.high)}; {better}"]
    if p.alpha is not None:
        lines.append(f"  raters agree: alpha {p.alpha:.2f} ({', '.join(p.raters)})")
    return lines + [f"  why: {reason}" for reason in p.reasons[:10]]

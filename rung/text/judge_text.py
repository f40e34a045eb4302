"""A judge's grades, and how far they agree with human labels, in words."""

from evaluation.arms.registry import arm_name
from evaluation.judge.correction import JudgedArm, JudgedRival, JudgeReport
from evaluation.people_comparison import PeoplePreference, items_for
from workspace.counted import counted, percent, points, signed_interval

KINDS = {"rubric": "yes or no by judge.md", "score": "1 to 5 by judge.md", "pairs": "the better of two by judge.md"}


def lines(report: JudgeReport) -> list[str]:
    """Return the sentence, each arm, each difference, and the biases."""
    out = [sentence(report), f"Judge: {report.model}, {KINDS[report.kind]}", ""]
    out += [arm_line(arm) for arm in report.arms]
    out += [rival_line(rival, report) for rival in report.rivals]
    return [*out, *biases(report), *(f"! {note}" for note in report.notes)]


def sentence(report: JudgeReport) -> str:
    """Return whether the verdict uses the judge, as a sentence."""
    if report.used:
        weight = "It decides." if report.decides else "It does not decide; its grades are shown with the verdict."
        return f"The judge agrees with human labels. {weight}"
    why = report.why.partition("the judge is ignored: ")[2] or report.why
    return f"The verdict ignores the judge: {why}."


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

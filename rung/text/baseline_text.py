"""A baseline report in words, as the shell prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from evaluation.arms.registry import arm_name
from evaluation.measured_answers import best_untuned
from evaluation.measurement_report import ArmResult, Report, surest
from evaluation.metrics.item_metrics import ITEM_METRICS
from evaluation.verdict.intervals import TOLERANCE
from rung.status.following import SET_GOAL
from workspace.counted import counted, duration, interval, money, percent
from workspace.settings import EVERY_TURN

if TYPE_CHECKING:
    from evaluation.ladder_plan import LadderPlan

PLOT, BESIDE = 30, 25
"""Columns of the plot, and of score and interval between a name and it."""
FACTS = {
    "prompting": "prompt",
    "few_shot": "few-shot",
    "rag": "rag",
    "optimised": "an optimised prompt",
    "classifier": "a plain classifier",
}
WORKS = {
    "works": "reaches the goal",
    "insufficient": "falls short",
    "weak_effort": "falls short, but was not tried enough",
}


def metric_words(metric: str) -> str:
    """`exact match`, `numeric match (0.01) on every turn`."""
    spec, turns, _ = metric.partition(EVERY_TURN)
    name, _, argument = spec.partition(":")
    return ITEM_METRICS.get(name, (name,))[0] + (f" ({argument})" if argument else "") + turns


def unmeasured(report: Report) -> list[str]:
    """Return the arms whose scores are no measurement, each with the reason, and the next step."""
    lost = [f"! {arm_name(arm.arm)} was not measured: {arm.unmeasured}." for arm in report.arms if arm.unmeasured]
    return [*lost, "  Raise [model] max_tokens, or fix what stops the replies, and measure again."] if lost else []


def answer(report: Report) -> str:
    """Return the first sentence: does anything cheaper reach the goal? Arms that were not measured come before it."""
    return " ".join([*(line.strip("! ") for line in unmeasured(report)), _answer(report)])


def _answer(report: Report) -> str:
    if report.goal is None:
        return f"{untuned_words(report)} Is that good enough? Set your goal: {SET_GOAL}"
    question = "Does anything cheaper than fine-tuning reach the goal?"
    if not report.judged:
        lost = any(arm.unmeasured for arm in report.arms)
        why = "too many replies were lost" if lost else "there were no reviewed rows to choose on"
        return f"{question} Not judged: {why}."
    working = [FACTS[fact] for fact, state in report.judged.items() if state == "works"]
    if not working:
        return f"{question} No."
    return f"{question} On validation yes: {' and '.join(working)}."


def untuned_words(report: Report) -> str:
    """`Best without tuning: classifier 95.9%, retrieved few-shot 93.9%.`"""
    best = best_untuned(report)
    chosen = next((arm for arm in report.arms if arm.arm == report.chosen), None)
    named = [arm for arm in (best, chosen) if arm is not None and not arm.unmeasured]
    if not named:
        return "Best without tuning: not known."
    told = dict.fromkeys(f"{arm_name(arm.arm)} {percent(arm.score)}" for arm in named)
    return f"Best without tuning: {', '.join(told)}."


def best_sentence(report: Report) -> str:
    """Return the best prompted arm with both its scores."""
    best = next((a for a in report.arms if a.arm == report.chosen and not a.unmeasured), None)
    if best is None:
        return ""
    bounds = interval(best.low, best.high)
    tried = f"{percent(best.validation)} on validation, " if best.validation is not None else ""
    return f"{best_label(report)}: {arm_name(best.arm)}, {tried}{percent(best.score)} {bounds} on test, {hits(best)}."


def best_label(report: Report) -> str:
    """Return the label of the arm that validation chose: "best" only if no other prompt scored higher on the test."""
    chosen = next((arm.score for arm in report.arms if arm.arm == report.chosen), 0.0)
    beaten = any(arm.prompted and arm.score > chosen + TOLERANCE for arm in report.arms)
    return "Prompt chosen" if beaten else "Best prompted arm"


def lines(report: Report, taken: Sequence[str] = ()) -> list[str]:
    """Return the whole result without the last line that names the next command."""
    head = f"{counted(report.n, 'frozen test item')}, {metric_words(report.metric)}, {report.model}"
    out = [*unmeasured(report), _answer(report), head, "", *table(report.arms, report.goal), "", *facts(report)]
    out += ["", *taken] if taken else []
    told = [*report.rows_from, *(f"! {note}" for note in report.notes)]
    return out + ([""] if told else []) + told


def table(arms: Sequence[ArmResult], goal: float | None) -> list[str]:
    """Return the arms with score, interval and plot."""
    width = name_width(arm.arm for arm in arms)
    rows = table_rows(arms, goal, width, PLOT)
    return rows if goal is None else [*rows, f"{'':<{width + BESIDE}}{_goal_line(goal)}"]


def name_width(arms: Iterable[str]) -> int:
    """Columns of the widest name."""
    return max([len("Arm"), *(len(arm_name(arm)) for arm in arms)])


def table_rows(arms: Sequence[ArmResult], goal: float | None, width: int, plot: int) -> list[str]:
    """A head, and a line an arm: `width` columns for its name, `plot` for its interval on a scale of 0% to 100%."""
    rows = [f"{'Arm':<{width}}   Score  95% interval   {scale(plot, goal)}"]
    for arm in arms:
        bounds, drawn = interval(arm.low, arm.high).strip("()"), dots(arm.low, arm.score, arm.high, plot, goal)
        rows.append(f"{arm_name(arm.arm):<{width}}  {percent(arm.score):>6}  {bounds:<13}  {drawn}".rstrip())
    return rows


def _goal_line(goal: float) -> str:
    text = f"goal {percent(goal)}"
    return " " * max(0, min(PLOT - len(text), round(goal * (PLOT - 1)) - len(text) // 2)) + text


def facts(report: Report) -> list[str]:
    """Return the best prompted arm, its gap to the goal, the detectable difference, sure answers, and the cost."""
    rows: list[tuple[str, str]] = []
    best = next((a for a in report.arms if a.arm == report.chosen and not a.unmeasured), None)
    if best is not None:
        text = f"{arm_name(best.arm)}, {percent(best.score)} ({hits(best)}), chosen on validation"
        rows.append((best_label(report), text if best.validation is not None else text.replace(", chosen on", ", no")))
        if report.goal is not None:
            gap = report.goal - best.score
            rows.append(("To the goal", f"{100 * gap:.1f} points short" if gap > 0 else "reached on test"))
    if report.smallest_difference is not None:
        rows.append(("Detectable", f"differences of about {100 * report.smallest_difference:.0f} points"))
    rows.append(("Only where sure", where_sure(report.arms)))
    rows.append(("Better constrained", _held(report.arms)))
    rows.append(("Took", f"{duration(sum(arm.seconds for arm in report.arms))} on test, {paid(report.arms)}"))
    return [f"{name:<19} {text}" for name, text in rows if text]


def paid(arms: Sequence[ArmResult]) -> str:
    """Return what the answers of these arms cost together; unknown if one arm's cost is."""
    costs = [arm.cost_usd for arm in arms]
    return money(None if None in costs else sum(cost or 0.0 for cost in costs))


def where_sure(arms: Sequence[ArmResult]) -> str:
    """`encoder: 71% of items at 98.1% precision ...`: the arm that answers most; else that none reaches it."""
    arm = surest(arms) or next((arm for arm in arms if arm.abstention), None)
    return f"{arm_name(arm.arm)}: {arm.abstention.words()}" if arm and arm.abstention else ""


def hits(arm: ArmResult) -> str:
    """`223 of 300`; the items alone where scores are not 0 or 1."""
    counts = not arm.graded and abs(arm.correct - round(arm.correct)) < 1e-6
    return f"{round(arm.correct):,} of {arm.n:,}" if counts else f"mean of {counted(arm.n, 'item')}"


def _held(arms: Sequence[ArmResult]) -> str:
    """Return the arms that scored higher on validation when limited to the possible answers."""
    both = [a for a in arms if {"free", "held"} <= a.validation_forms.keys()]
    return ", ".join(arm_name(a.arm) for a in both if a.form == "held") if both else ""


def taken_over(judged: Mapping[str, str]) -> list[str]:
    """Return the answers that were recorded as measured, one sentence a rung; judged on validation rows."""
    return [f"Recorded (measured): {FACTS[fact]} {WORKS[state]}." for fact, state in judged.items()]


def plan_lines(plan: LadderPlan) -> Iterator[str]:
    """Yield the calls that a ladder will make, and what is not counted."""
    parts = [
        f"{_span(plan.low.calls, plan.high.calls)} calls",
        f"{_span(plan.low.input_tokens, plan.high.input_tokens)} tokens in",
        f"{_span(plan.low.output_tokens, plan.high.output_tokens)} tokens out",
        _cost(plan.low.usd, plan.high.usd),
    ]
    yield f"Still to ask: {', '.join(parts)}"
    if plan.left_out:
        yield f"Not counted: {', '.join(plan.left_out)}"


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _cost(low: float | None, high: float | None) -> str:
    least, most = money(low), money(high)
    if low is None or high is None:
        return "cost unknown"
    return least if least == most else f"{least} to {most}"


def dots(low: float, score: float, high: float, width: int, goal: float | None = None) -> str:
    """Return one row of `width` characters for values in 0..1."""
    row = [" "] * width
    if goal is not None:
        row[_column(goal, width)] = ":"
    start, middle, end = (_column(value, width) for value in (low, score, high))
    row[start : end + 1] = "─" * (end + 1 - start)
    row[start], row[end] = "├", "┤"
    row[middle] = "o"
    return "".join(row).rstrip()


def scale(width: int, goal: float | None = None) -> str:
    """Return the line above the rows: 0%, 50% where there is room, and 100%; a colon at the goal."""
    row = list(f"{'0%':<{width}}")
    middle = _column(0.5, width) - 1
    if middle + 3 < width - 4:
        row[middle : middle + 3] = "50%"
    row[width - 4 :] = "100%"
    if goal is not None and row[_column(goal, width)] == " ":
        row[_column(goal, width)] = ":"
    return "".join(row)


def _column(value: float, width: int) -> int:
    return min(width - 1, max(0, round(value * (width - 1))))

"""The verdict in words, the same in the shell, on the screen and in the report."""

from __future__ import annotations

from evaluation.compare import TOLERANCE
from evaluation.report import Report
from evaluation.verdict import FEWEST_CLUSTERS, Rival, Verdict, rule_on
from rung.report.figures import arm_name, interval, level, p_text, percent, points, signed, signed_interval
from rung.report.judge_words import sentence as judge_sentence
from rung.report.price_words import lines as price_lines
from workspace.words import counted

TEN = 0.1
"""The margin that is shown beside the one that rules."""
OTHER = frozenset({"classical", "bigger_model"})
"""Arms that are no prompt of this model."""
TITLES = {
    "ship": "SHIP",
    "keep_prompt": "KEEP THE PROMPT",
    "judgement": "JUDGEMENT",
    "need_more_data": "NEED MORE DATA",
}


def sentences(verdict: Verdict) -> tuple[str, str]:
    """The verdict's two sentences, without its title."""
    return {"ship": _ship, "keep_prompt": _keep, "judgement": _judgement, "need_more_data": _more}[verdict.verdict](
        verdict
    )


def _ship(v: Verdict) -> tuple[str, str]:
    first = f"The tuned model beats {rival_name(v)} by {_bare(v.difference)} points."
    more = f", against each of {len(v.arms)} arms" if len(v.arms) > 1 else ""
    return first, f"The margin of {_margin(v)} points is passed, {level(v.confidence)} confident{more}."


def _keep(v: Verdict) -> tuple[str, str]:
    return _moved(v), f"Even the best case is under the margin of {_margin(v)} points."


def _judgement(v: Verdict) -> tuple[str, str]:
    if v.planned_runs is not None and v.place is not None and v.place > v.planned_runs:
        return _moved(
            v
        ), f"The test set is spent ({v.planned_runs} planned): no run ships on it. A named person decides."
    if blocked := _blocked(v):
        return _moved(v), f"{blocked} A named person decides."
    return _moved(v), f"Better for sure, above {_margin(v)} points not for sure. A named person decides."


def _more(v: Verdict) -> tuple[str, str]:
    if v.clusters is not None and v.clusters < FEWEST_CLUSTERS:
        few = f"{counted(v.clusters, 'cluster')} of items cannot tell; at least {FEWEST_CLUSTERS} are needed."
        return _moved(v), few
    if v.metric == "judge" and (v.judge is None or not v.judge.used or v.trainings):
        return _moved(v), "A judge scored it that people have not borne out, so nothing is decided."
    if blocked := _blocked(v):
        return _moved(v), blocked
    if ahead := out_of_reach(v):
        told = f"{_names(ahead)}: even the best case is under the margin of {_margin(v)} points"
        return _moved(v), f"Against {told}, so more items would not ship it."
    if v.metric == "judge":
        return _moved(v), "Not told apart: the judge's own error is in it, and more labels by people would narrow it."
    unit = "clusters" if v.clusters is not None else "items"
    have = v.clusters if v.clusters is not None else v.n
    if scatter(v):
        scores = sorted(training.score for training in v.trainings)
        told = f"{len(scores)} trainings scatter from {percent(scores[0])} to {percent(scores[-1])}"
        return _moved(v), f"{told}: more of them would tell, more {unit} would not."
    if v.items_to_settle is None or v.items_to_settle <= have:
        return _moved(
            v
        ), f"{counted(have, unit[:-1])} cannot tell, and the estimate lies at the margin of {_margin(v)} points."
    return _moved(v), f"{counted(have, unit[:-1])} cannot tell; about {_rounded(v.items_to_settle)} would."


def scatter(v: Verdict) -> bool:
    """Whether it is the trainings, and not the items, that are too few to tell."""
    have = v.clusters if v.clusters is not None else v.n
    if not v.trainings or abs(v.difference - v.margin) < 0.01 - TOLERANCE:
        return False
    return v.items_to_settle is None or v.items_to_settle <= have


def _blocked(v: Verdict) -> str:
    """Which arms keep it from a ship where the chosen one does not; empty where it is the chosen one."""
    blocking = [r for r in v.arms if not r.chosen and r.low <= v.margin + TOLERANCE]
    if v.low <= v.margin + TOLERANCE or not blocking:
        return ""
    return f"Not above the margin of {_margin(v)} points for sure against {_names(blocking)}."


def out_of_reach(v: Verdict) -> list[Rival]:
    """Arms beside the chosen one that the tuned model does not beat by the margin even at best: they block a ship."""
    return [r for r in v.arms if not r.chosen and r.high < v.margin - TOLERANCE]


def _rounded(number: int) -> str:
    """Two digits that mean something: an estimate has no more."""
    scale = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // scale) * scale:,}"


def _names(rivals: list[Rival]) -> str:
    return ", ".join(f"{arm_name(r.arm)} ({signed(r.difference)})" for r in rivals)


def _moved(v: Verdict) -> str:
    bounds = signed_interval(v.low, v.high, v.confidence)
    if _bare(v.difference) == "0.0":
        return f"The tuned model scores the same as {rival_name(v)} {bounds}."
    way = "better" if v.difference >= 0 else "worse"
    return f"The tuned model is {_bare(v.difference)} points {way} than {rival_name(v)} {bounds}."


def rival_name(v: Verdict) -> str:
    """What the tuned model is compared with: `the best prompt`, or the arm's name in a score file.

    Where another prompt did better on the test items, the one that validation chose is not called the best.
    """
    if not v.id:
        return "the baseline" if v.chosen == "baseline" else f"the arm {v.chosen}"
    return f"{arm_name(v.chosen)}, the prompt that validation chose" if chosen_is_beaten(v) else "the best prompt"


def chosen_is_beaten(v: Verdict) -> bool:
    """Whether another prompt scored higher on the test items than the one that validation chose."""
    return any(not r.chosen and r.arm not in OTHER and r.score > v.baseline + TOLERANCE for r in v.arms)


def _bare(difference: float) -> str:
    return signed(abs(difference)).lstrip("+")


def _margin(v: Verdict) -> str:
    return f"{100 * v.margin:.3g}"


def lines(verdict: Verdict, report: Report | None = None, baseline: Report | None = None) -> list[str]:
    """The whole result for a shell, without the last line that names the next command."""
    title, (first, second) = TITLES[verdict.verdict], sentences(verdict)
    out = [f"{title}  {first}", f"{' ' * len(title)}  {second}", *_accepted(verdict), ""]
    out += [*_scores(verdict, report, baseline), *_difference(verdict), ""]
    out += [*(f"! {text}" for text in verdict.notes), *_goal(verdict, baseline), *_worth(verdict)]
    return [*out, *_seen(verdict), *_others(verdict), *_beside(verdict)]


def _worth(v: Verdict) -> list[str]:
    """Upkeep against what it buys, in a line."""
    if v.price is None:
        return []
    usd = v.price.upkeep_usd_per_month
    upkeep = "upkeep unknown" if usd is None else f"${usd:,.0f} upkeep a month"
    wrong = round(1000 * v.difference)
    gained = (
        f"{points(v.difference)}" if v.graded else f"{abs(wrong):,} {'more' if wrong < 0 else 'fewer'} wrong in 1,000"
    )
    return [f"Price {upkeep}, for {gained}"]


def _goal(v: Verdict, baseline: Report | None) -> list[str]:
    """Whether the goal is reached, where the baseline was measured against one."""
    goal = baseline.goal if baseline else None
    if goal is None:
        return []
    gap = goal - v.tuned
    short = f"{100 * gap:.1f} points short" if gap > TOLERANCE else "reached"
    return [f"{'✗' if gap > TOLERANCE else '✓'} Goal {percent(goal)}: {short}"]


def _beside(v: Verdict) -> list[str]:
    """Retraining, the judge and the price, where they are known."""
    rows = []
    if v.candidate != "tuned":
        rows.append(f"Measured with passages of documents/, which validation preferred ({arm_name(v.candidate)}).")
    if v.trainings:
        scores = ", ".join(f"{t.run} {percent(t.score)}" for t in v.trainings)
        rows.append(f"Trainings: {scores}; the interval includes another seed.")
    if v.judge:
        rows.append(judge_sentence(v.judge))
    if v.price:
        rows += price_lines(v.price)
    return ["", *rows] if rows else []


def _scores(v: Verdict, report: Report | None, baseline: Report | None) -> list[str]:
    name = arm_name(v.chosen)
    width = max(len(name), len("difference"), len("can be seen"))
    tuned = None if v.trainings else _arm(report, "tuned")  # one training's interval says nothing of several
    chosen = _arm(baseline, v.chosen)
    best = ", chosen" if len(v.arms) > 1 else ""
    if v.id:
        best = ", chosen" if chosen_is_beaten(v) else ", best prompted"
    return [
        f"{'tuned':<{width}}  {_score(v.tuned, tuned, v)}",
        f"{name:<{width}}  {_score(v.baseline, chosen, v)}{best}",
    ]


def _arm(report: Report | None, name: str) -> tuple[float, float] | None:
    found = next((a for a in report.arms if a.arm == name), None) if report else None
    return (found.low, found.high) if found else None


def _score(score: float, bounds: tuple[float, float] | None, v: Verdict) -> str:
    """With its count where every score is 0 or 1; a sum of graded scores counts nothing."""
    hits = score * v.n
    counts = not v.graded and abs(hits - round(hits)) < 1e-6
    whole = f"{round(hits):,} of {v.n:,}" if counts else f"mean of {counted(v.n, 'item')}"
    return f"{percent(score)}  {interval(*bounds)}   {whole}" if bounds else f"{percent(score)}   {whole}"


def _difference(v: Verdict) -> list[str]:
    width = max(len(arm_name(v.chosen)), len("can be seen"))
    p = "" if v.trainings else f", {p_text(v.p_value)}"  # over items only: another seed is not in it
    rows = [
        ("difference", f"{points(v.difference)} {signed_interval(v.low, v.high, v.confidence)}{p}"),
        ("items", f"{v.better} better, {v.worse} worse, {v.same} the same"),
    ]
    if v.clusters is not None:
        rows.append(("clusters", f"{v.clusters:,}; items that share one are counted together"))
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _seen(v: Verdict) -> list[str]:
    """What this test set can tell apart, and what a higher margin would say."""
    width = max(len(arm_name(v.chosen)), len("can be seen"))
    rows = [("can be seen", can_be_seen(v))]
    if v.margin < TEN - TOLERANCE:
        rows.append(("at 10 points", at_ten(v)))
    return [f"{name:<{width}}  {text}" for name, text in rows]


def at_ten(v: Verdict) -> str:
    """What a margin of 10 points would say, for those who need more than the margin that rules."""
    may_ship = v.planned_runs is None or v.place is None or v.place <= v.planned_runs
    ten = rule_on({r.arm: r for r in v.arms}, v.chosen, TEN, v.clusters, may_ship)
    return f"with a margin of 10 points it would be: {TITLES[ten].lower()}"


def can_be_seen(v: Verdict) -> str:
    """What this test set can tell apart."""
    if v.smallest_difference is None:
        why = f"as far as these {len(v.trainings)} trainings scatter" if v.trainings_spread else "with so few items"
        return f"no difference, {why}"
    seen = f"differences of about {100 * v.smallest_difference:.0f} points"
    ships = "no gain could ship"
    if v.minimum_detectable is not None:
        ships = f"a gain of {100 * v.minimum_detectable:.0f} would ship 4 times in 5"
    return f"{seen}; {ships}{_counted(v)}"


def _counted(v: Verdict) -> str:
    """What these figures count beside the items."""
    if v.trainings_spread is not None:
        return f"; {len(v.trainings)} trainings counted"
    if not v.id:
        return ""
    return "; how far trainings scatter is not in it" if v.trainings else "; for one training"


def _others(v: Verdict) -> list[str]:
    others = [r for r in v.arms if not r.chosen]
    if not others:
        return []
    width = max(len(arm_name(r.arm)) for r in others)
    return ["", "Against the other arms"] + [
        f"  {arm_name(r.arm):<{width}}  {percent(r.score):>6}   "
        f"{points(r.difference)} {signed_interval(r.low, r.high, v.confidence)}"
        for r in others
    ]


def _accepted(v: Verdict) -> list[str]:
    return [f'Accepted by {v.accepted.by}: "{v.accepted.reason}"'] if v.accepted else []

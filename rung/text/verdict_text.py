"""Texts of the verdict and its price, the same in the shell, on the screen and in the report."""

from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.registry import CASCADE, arm_name
from evaluation.judge.model_judge import JudgeReport, by_judge
from evaluation.measurement_report import Report
from evaluation.verdict.evidence import Call, TuningPrice
from evaluation.verdict.intervals import FEWEST_CLUSTERS, TOLERANCE
from evaluation.verdict.rule import Rival, ShipRule, Verdict, rule_on
from workspace.counted import (
    counted,
    duration,
    interval,
    level,
    money,
    p_text,
    percent,
    points,
    signed,
    signed_interval,
)

TEN = 0.1
"""The margin that is shown beside the one that rules."""
OTHER = frozenset({*CLASSIFIERS, CASCADE, "bigger_model"})
"""Arms that are no prompt of this model."""
TITLES = {
    "ship": "SHIP",
    "keep_prompt": "KEEP THE PROMPT",
    "judgement": "JUDGEMENT",
    "need_more_data": "NEED MORE DATA",
}


def sentences(verdict: Verdict) -> tuple[str, str]:
    """Return the verdict's two sentences, without its title."""
    if verdict.unmeasured and verdict.verdict == "need_more_data":
        return f"{unmeasured(verdict)}.", "Such a score decides nothing. Raise [model] max_tokens and measure again."
    second = {"ship": _ship, "keep_prompt": _keep, "judgement": _judgement, "need_more_data": _more}[verdict.verdict]
    return _beats(verdict) if verdict.verdict == "ship" else _moved(verdict), second(verdict)


def _beats(v: Verdict) -> str:
    return f"The tuned model beats {rival_name(v)} by {signed(v.difference).lstrip('+')} points{_classifier(v)}."


def _ship(v: Verdict) -> str:
    more = f", against each of {len(v.arms)} arms" if len(v.arms) > 1 else ""
    return f"The margin of {_margin(v)} points is passed, {level(v.confidence)} confident{more}."


def _classifier(v: Verdict) -> str:
    """Return `, and the classifier by 26.0`, of the best one where some were measured beside the chosen arm."""
    known = [rival for rival in v.arms if rival.arm in CLASSIFIERS and not rival.chosen]
    best = max(known, key=lambda rival: rival.score, default=None)
    return "" if best is None else f", and the {arm_name(best.arm)} by {signed(best.difference).lstrip('+')}"


def _keep(v: Verdict) -> str:
    return f"Even the best case is under the margin of {_margin(v)} points."


def unmeasured(v: Verdict) -> str:
    """Return the arms that were not measured, with the reason; empty if all were."""
    return "; ".join(f"{arm_name(arm)} was not measured: {why}" for arm, why in v.unmeasured.items())


def _judgement(v: Verdict) -> str:
    if v.unmeasured:
        why = f"{unmeasured(v)}. An arm that was not measured is not beaten."
    elif v.planned_runs is not None and v.place is not None and v.place > v.planned_runs:
        why = f"The test set is used up ({v.planned_runs} runs were planned), so nothing ships."
    else:
        why = _blocked(v) or f"It is better, but maybe by less than the margin of {_margin(v)} points."
    return f"{why} A named person decides."


def _more(v: Verdict) -> str:
    if v.few_clusters:
        return _few(v)
    if by_judge(v.metric) and (v.judge is None or not v.judge.used or v.trainings):
        return "The judge that scored it was not shown to agree with people, so nothing is decided."
    if blocked := _blocked(v):
        return blocked
    if ahead := out_of_reach(v):
        told = f"{_names(ahead)}: even the best case is under the margin of {_margin(v)} points"
        return f"Against {told}, so more items would not ship it."
    if by_judge(v.metric):
        return "No difference shown. The interval includes the judge's errors; more human labels narrow it."
    unit = "clusters" if v.clusters is not None else "items"
    have = v.clusters if v.clusters is not None else v.n
    if scatter(v):
        scores = sorted(training.score for training in v.trainings)
        told = f"{len(scores)} training runs score from {percent(scores[0])} to {percent(scores[-1])}"
        return f"{told}: more training runs would decide it, more {unit} would not."
    if v.items_to_settle is None or v.items_to_settle <= have:
        return f"{counted(have, unit[:-1])} cannot tell: the estimate is at the margin of {_margin(v)} points."
    return f"{counted(have, unit[:-1])} cannot tell; about {_rounded(v.items_to_settle)} would."


def _few(v: Verdict) -> str:
    """Return why these clusters decide nothing, and how many would."""
    have = counted(v.clusters or 0, "cluster")
    if v.effective_clusters is None or (v.clusters or 0) < FEWEST_CLUSTERS:
        return f"{have} of items cannot tell; at least {FEWEST_CLUSTERS} are needed."
    weigh = f"{have} of unequal size have the weight of {v.effective_clusters:.1f} of equal size"
    return f"{weigh}; at least {FEWEST_CLUSTERS} are needed."


def scatter(v: Verdict) -> bool:
    """True if too few training runs, not too few items, leave it undecided."""
    have = v.clusters if v.clusters is not None else v.n
    if not v.trainings or abs(v.difference - v.margin) < 0.01 - TOLERANCE:
        return False
    return v.items_to_settle is None or v.items_to_settle <= have


def _blocked(v: Verdict) -> str:
    """Return the arms that prevent a ship, if the chosen one does not; empty if it does."""
    blocking = [r for r in v.arms if not r.chosen and r.low <= v.margin + TOLERANCE]
    if v.low <= v.margin + TOLERANCE or not blocking:
        return ""
    return f"The lead may be under the margin of {_margin(v)} points against {_names(blocking)}."


def out_of_reach(v: Verdict) -> list[Rival]:
    """Arms beside the chosen one that the tuned model does not beat by the margin even at best: they block a ship."""
    return [r for r in v.arms if not r.chosen and r.high < v.margin - TOLERANCE]


def _rounded(number: int) -> str:
    """Return two digits that mean something: an estimate has no more."""
    scale = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // scale) * scale:,}"


def _names(rivals: list[Rival]) -> str:
    return ", ".join(f"{arm_name(r.arm)} ({signed(r.difference)})" for r in rivals)


def _moved(v: Verdict) -> str:
    bounds = signed_interval(v.low, v.high, v.confidence)
    if signed(v.difference).lstrip("+-") == "0.0":
        return f"The tuned model scores the same as {rival_name(v)} {bounds}."
    lead = signed(v.difference)
    word = "worse" if lead.startswith("-") else "better"
    return f"The tuned model is {lead.lstrip('+-')} points {word} than {rival_name(v)} {bounds}."


def rival_name(v: Verdict) -> str:
    """Return the name of the rival of the tuned model: `the best prompt`, or the arm's name in a score file.

    Where another prompt did better on the test items, the one that validation chose is not called the best.
    """
    if not v.id:
        return "the baseline" if v.chosen == "baseline" else f"the arm {v.chosen}"
    return f"{arm_name(v.chosen)}, the prompt that validation chose" if chosen_is_beaten(v) else "the best prompt"


def chosen_is_beaten(v: Verdict) -> bool:
    """True if another prompt scored higher on the test items than the one that validation chose."""
    return any(not r.chosen and r.arm not in OTHER and r.score > v.baseline + TOLERANCE for r in v.arms)


def _margin(v: Verdict) -> str:
    return f"{100 * v.margin:.3g}"


def title_lines(verdict: Verdict) -> list[str]:
    """Return the title with both sentences, the second below the first."""
    title, (first, second) = TITLES[verdict.verdict], sentences(verdict)
    return [f"{title}  {first}", f"{' ' * len(title)}  {second}"]


def lines(verdict: Verdict, report: Report | None = None, baseline: Report | None = None) -> list[str]:
    """Return the whole result for a shell, without the last line that names the next command."""
    accepted = [f'Accepted by {verdict.accepted.by}: "{verdict.accepted.reason}"'] if verdict.accepted else []
    out = [*title_lines(verdict), *accepted, ""]
    out += [*_scores(verdict, report, baseline), *_difference(verdict), ""]
    out += [*(f"! {text}" for text in verdict.notes), *_goal(verdict, baseline)]
    out += [f"Price {price}"] if (price := price_phrase(verdict)) else []
    return [*out, *_seen(verdict), *_others(verdict), *_beside(verdict)]


def judge_sentence(report: JudgeReport) -> str:
    """Return whether the verdict uses the judge, as a sentence."""
    if report.used:
        weight = "It decides." if report.decides else "It does not decide; its grades are shown with the verdict."
        return f"The judge agrees with human labels. {weight}"
    why = report.why.partition("the judge is ignored: ")[2] or report.why
    return f"The verdict ignores the judge: {why}."


def price_phrase(v: Verdict) -> str:
    """Upkeep against what it buys: `$890 upkeep a month, for 700 fewer errors in 1,000`; empty without a price."""
    if v.price is None:
        return ""
    usd = v.price.upkeep_usd_per_month
    upkeep = "upkeep unknown" if usd is None else f"{money(usd, 0)} upkeep a month"
    return f"{upkeep}, for {points(v.difference) if v.graded else wrong_answers(v.difference)}"


def wrong_answers(difference: float) -> str:
    """Return a difference of counted scores as the change in wrong answers: `183 fewer errors in 1,000`."""
    wrong = round(-1000 * difference)
    if not wrong:
        return "the same number of errors"
    return f"{abs(wrong):,} {'fewer' if wrong < 0 else 'more'} errors in 1,000"


def _goal(v: Verdict, baseline: Report | None) -> list[str]:
    goal = baseline.goal if baseline else None
    if goal is None:
        return []
    gap = goal - v.tuned
    short = f"{100 * gap:.1f} points short" if gap > TOLERANCE else "reached"
    return [f"{'✗' if gap > TOLERANCE else '✓'} Goal {percent(goal)}: {short}"]


def _beside(v: Verdict) -> list[str]:
    rows = []
    if v.candidate != "tuned":
        rows.append(f"Measured with passages from documents/; validation chose this ({arm_name(v.candidate)}).")
    if v.trainings:
        scores = ", ".join(f"{t.run} {percent(t.score)}" for t in v.trainings)
        rows.append(f"Training runs: {scores}. The interval includes their variance.")
    if v.judge:
        rows.append(judge_sentence(v.judge))
    if v.price:
        rows += price_lines(v.price)
    return ["", *rows] if rows else []


def _scores(v: Verdict, report: Report | None, baseline: Report | None) -> list[str]:
    name = arm_name(v.chosen)
    width = max(len(name), len("difference"))
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
    """Return the score, with its count if every score is 0 or 1."""
    hits = score * v.n
    counts = not v.graded and abs(hits - round(hits)) < 1e-6
    whole = f"{round(hits):,} of {v.n:,}" if counts else f"mean of {counted(v.n, 'item')}"
    return f"{percent(score)}  {interval(*bounds)}   {whole}" if bounds else f"{percent(score)}   {whole}"


def _difference(v: Verdict) -> list[str]:
    width = max(len(arm_name(v.chosen)), len("difference"))
    p = "" if v.trainings else f", {p_text(v.p_value)}"  # over items only: another seed is not in it
    rows = [
        ("difference", f"{points(v.difference)} {signed_interval(v.low, v.high, v.confidence)}{p}"),
        ("items", f"{v.better} better, {v.worse} worse, {v.same} the same"),
    ]
    if v.clusters is not None:
        weigh = "" if v.effective_clusters is None else f", with the weight of {v.effective_clusters:.1f} equal ones"
        rows.append(("clusters", f"{v.clusters:,}{weigh}; items that share one are not independent"))
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _seen(v: Verdict) -> list[str]:
    """Return what this test set can detect, and the verdict at a higher margin."""
    width = max(len(arm_name(v.chosen)), len("difference"))
    first, _, more = can_be_seen(v).partition("; ")
    rows = [f"{'detectable':<{width}}  {first}", *([f"{'':<{width}}  {more}"] if more else [])]
    return [*rows, at_ten(v)] if v.margin < TEN - TOLERANCE else rows


def at_ten(v: Verdict) -> str:
    """Return the verdict at a margin of 10 points, for those who need more than the margin that decides."""
    wanted, rivals = ShipRule(TEN, v.confidence, v.may_ship), {r.arm: r for r in v.arms}
    ten = rule_on(rivals, v.chosen, wanted, few=v.few_clusters, lost=v.unmeasured)
    return f"At a margin of 10 points: {TITLES[ten].lower()}."


def can_be_seen(v: Verdict) -> str:
    """Return the smallest difference that this test set detects, and the true gain that would ship."""
    if v.smallest_difference is None:
        few = "with so few items"
        return f"no difference, {f'the {len(v.trainings)} training runs vary too much' if v.trainings_spread else few}"
    seen = f"differences of about {100 * v.smallest_difference:.0f} points"
    ships = "no gain could ship"
    if v.minimum_detectable is not None:
        ships = f"a true gain of {100 * v.minimum_detectable:.0f} points ships with 80% probability"
    return f"{seen}; {ships}{_counted(v)}"


def _counted(v: Verdict) -> str:
    """Return how many training runs these figures count."""
    if v.trainings_spread is not None:
        return f" ({len(v.trainings)} training runs)"
    if not v.id:
        return ""
    return " (variance between training runs not included)" if v.trainings else " (one training run)"


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


def price_rows(price: TuningPrice) -> list[tuple[str, str]]:
    """Return the name and text of each part."""
    seconds = price.training_seconds
    return [
        ("review", _review(price)),
        ("drafts", "unknown (no dated price)" if price.drafts_usd is None else money(price.drafts_usd)),
        ("training", f"{duration(seconds)} on this machine" if seconds else "unknown (run.json has no time)"),
        *((arm_name(call.arm), call_words(call)) for call in (price.prompted, price.tuned)),
        ("upkeep", _upkeep(price)),
        ("break-even", break_even(price)),
        *(("assumed", each) for each in price.assumed),
    ]


def price_lines(price: TuningPrice) -> list[str]:
    """Return the price for the shell: money spent, cost of upkeep, break-even."""
    wanted = ("review", "training", "upkeep", "break-even", "assumed")
    return ["What it costs", *(f"  {name:<10}  {text}" for name, text in price_rows(price) if name in wanted)]


def _review(price: TuningPrice) -> str:
    people = "1 person" if price.review_people == 1 else f"{price.review_people} people"
    if price.review_hours is None:
        return f"unknown ({people} by sheet)" if price.review_people else "unknown (no store here)"
    if not price.review_people:
        return "by a program only: no person has reviewed a row"
    paid = f", {money(price.review_usd)}" if price.review_usd is not None else ""
    return f"{duration(3600 * price.review_hours)} of {people}{paid}"


def call_words(call: Call) -> str:
    """Return tokens, time and dollars of one call."""
    paid = "" if not call.usd else f", ${call.usd:.4g}"
    each = "time unknown" if call.seconds is None else f"{duration(call.seconds)} each (p50)"
    return f"{call.tokens_in:.0f} tokens in, {call.tokens_out:.0f} out a call, {each}{paid}"


def _upkeep(price: TuningPrice) -> str:
    if price.upkeep_usd_per_month is None:
        return "unknown (no upkeep in rules/)"
    return f"{money(price.upkeep_usd_per_month, 0)} a month, a published figure; yours: rules/prices.toml"


def break_even(price: TuningPrice) -> str:
    """Return from how many calls a day an own GPU with the tuned model pays off, or which figure is missing."""
    if price.break_even_calls is None:
        return f"unknown (missing: {', '.join(price.unknown)})" if price.unknown else "unknown"
    dated = f", prices of {price.prices_dated}{', expired' if price.expired else ''}" if price.prices_dated else ""
    return f"{counted(price.break_even_calls, 'call')} a day against {price.incumbent} ({price.card}{dated})"

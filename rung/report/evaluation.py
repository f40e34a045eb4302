"""The page of an evaluation: report.html beside report.json, for a baseline or a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from advisor.answer_file import answers_at
from curation.mask import mask
from evaluation.arms.registry import arm_name
from evaluation.measured_answers import rejudged
from evaluation.measurement_report import ArmResult, Report, read_report
from evaluation.people_comparison import read_result
from evaluation.verdict.rule import Verdict
from rung import __version__
from rung.report.items import (
    ExampleItems,
    class_rows,
    confusion,
    corpus_lines,
    fold_of,
    item_rows,
    moved,
    shown_items,
    with_neighbours,
)
from rung.report.page import Axis, Dot, Mark, dot_plot, write_html
from rung.text import baseline_text, verdict_text
from rung.text.evaluation_text import costs, judge_lines, preference_words, threats, tied_forms
from workspace.artefact import read_artefact, revised
from workspace.counted import counted, percent, points
from workspace.files import sha256_file
from workspace.folder import Project

SHUT = "Test items stay hidden until the verdict on the last planned run. Shown here: validation items."


def write_page(project: Project, folder: Path) -> Path:
    """Write report.html of a complete evaluation; returns its path."""
    values = values_of(project, folder)
    write_html(folder / "report.html", "evaluation.html", values)
    return folder / "report.html"


def values_of(project: Project, folder: Path) -> Mapping[str, Any]:
    """Return all values of the page of a complete evaluation. A baseline is judged against today's goal."""
    report = read_artefact(folder / "report.json", Report)
    if report.kind == "baseline":
        report = rejudged(report, answers_at(project.answers_file))
    verdict = read_artefact(folder / "verdict.json", Verdict) if report.kind == "run" else None
    baseline = read_report(project, verdict.baseline_report)[1] if verdict and verdict.baseline_report else None
    baseline = rejudged(baseline, answers_at(project.answers_file)) if baseline else None
    arms = [*(baseline.arms if baseline else ()), *report.arms]
    chosen = verdict.chosen if verdict else report.chosen
    shown = shown_items(project, folder, baseline)
    goal = baseline.goal if baseline else report.goal
    candidate = verdict.candidate if verdict else "tuned"
    columns = [name for name in (chosen or "", candidate) if name in shown.outcomes]
    rows, is_open = item_rows(shown, columns), shown.split == "test"
    notes = [*(baseline.notes if baseline else ()), *report.notes]
    risks = [(symbol, mask(text)) for symbol, text in threats(project, report, verdict, arms, notes)]
    paid = costs(report, verdict, arms)
    rival = verdict_text.rival_name(verdict) if verdict else "the best prompt"
    items = ExampleItems(rows, [arm_name(name) for name in columns], shown.split)
    fold = fold_of(
        project, report, verdict, ": ".join(paid[0]), items, [text for symbol, text in risks if symbol == "!"]
    )
    return {
        "version": __version__,
        "project": project.name,
        "report": report,
        "report_sha256": sha256_file(folder / "report.json"),
        "subject": f"{report.run} against {rival}" if report.run else "the ladder, measured",
        "fold": fold,
        "plot": score_plot(arms, chosen, goal),
        "difference_plot": difference_plot(verdict) if verdict else "",
        "search_plot": search_plot(arms),
        "items_line": _items_line(report, goal),
        "costs": paid,
        "threats": risks,
        "other_threats": [(symbol, text) for symbol, text in risks if text not in fold.risks],
        "arms": arms,
        "marked": {chosen, candidate},
        "losses": with_neighbours(project, report, moved(rows, -1)) if verdict and is_open else None,
        "wins": moved(rows, 1) if verdict and is_open else None,
        "slices": [revised(s, name=mask(s.name)) for s in verdict.slices] if verdict and is_open else [],
        "secondary": verdict.secondary if verdict and is_open else [],
        "forgetting": verdict.forgetting if verdict else None,
        "human": [line for p in read_result(folder) for line in preference_words(p)],
        "judge": judge_lines(verdict.judge) if verdict and verdict.judge else [],
        "corpus": corpus_lines(report, shown, arms) if is_open else [],
        "sure": [arm for arm in arms if arm.abstention],
        "confusion": confusion(shown.outcomes.get(columns[-1], []) if columns else []),
        "classes": class_rows(arms, shown.outcomes, columns),
        "shut": "" if is_open else SHUT,
        "best_name": arm_name(columns[-1]) if columns else "",
        "all_items": rows,
        "columns": items.columns,
        "method": _method(report, baseline, arms),
        "extras": list(dict.fromkeys(key for arm in arms for key in arm.extra)),
        "chain": _chain(folder, report, verdict),
    }


def score_plot(arms: Sequence[ArmResult], chosen: str | None, goal: float | None) -> Markup:
    """Return the arms as a dot plot."""
    best = max((a.score for a in arms if a.prompted), default=0.0)
    is_best = all(a.score >= best for a in arms if a.arm == chosen)
    word = " best prompt" if is_best else " chosen"  # there is room for no more
    rows = [
        Dot(
            arm_name(a.arm),
            a.low,
            a.score,
            a.high,
            f"{percent(a.score)}{word if a.arm == chosen else ''}",
            a.arm in (chosen, "tuned"),
        )
        for a in arms
    ]
    return dot_plot("Score of each arm", rows, marks=[Mark(goal, f"goal {percent(goal)}")] if goal is not None else [])


def search_plot(arms: Sequence[ArmResult]) -> Markup:
    """Return a plot of the best validation score by answers asked for; empty without a search."""
    found = next((arm for arm in arms if arm.search), None)
    if found is None:
        return Markup("")
    rows = [Dot(f"{calls:,} answers", score, score, score, percent(score), True) for calls, score in found.search]
    rivals = {"prompt": "hand prompt", "few_shot": "few-shot"}
    marks = [Mark(a.validation, rivals[a.arm]) for a in arms if a.arm in rivals and a.validation is not None]
    return dot_plot("Search for a better prompt, on validation rows", rows, marks=marks)


def difference_plot(verdict: Verdict) -> Markup:
    """Tuned against each arm, in points, with the margin."""
    rows = [
        Dot(f"over {arm_name(r.arm)}", r.low, r.difference, r.high, points(r.difference), r.chosen)
        for r in verdict.arms
    ]
    edge = max(0.1, *(max(abs(r.low), abs(r.high)) for r in verdict.arms))
    end = next(e for e in (0.1, 0.25, 0.5, 1.0) if e >= edge - 1e-9)
    marks = [Mark(0.0, ""), *_margins(verdict.margin, end)]
    return dot_plot("Lead of the tuned model in points", rows, Axis(-end, end, end / 2, "{:+.3g}"), marks)


def _margins(margin: float, end: float) -> list[Mark]:
    """Return the margin, and ten points where it is under ten; on a wide axis one label for both, which would touch."""
    own, ten = f"margin {100 * margin:.3g}", verdict_text.TEN
    if not margin < ten < end:
        return [Mark(margin, own)]
    return [Mark(margin, own), Mark(ten, "10")] if end <= 0.5 else [Mark(margin, f"{own}, 10"), Mark(ten, "")]


def _items_line(report: Report, goal: float | None) -> str:
    metric = baseline_text.metric_words(report.metric)
    aim = f" Goal {percent(goal)}." if goal is not None else ""
    return (
        f"{counted(report.n, 'test item')} of {report.dataset}, frozen; metric: {metric}. Bars are 95% intervals.{aim}"
    )


def _method(report: Report, baseline: Report | None, arms: Sequence[ArmResult]) -> list[str]:
    told = [*(baseline or report).rows_from, *(baseline.notes if baseline else ()), *report.notes]
    shared = "their server, token limit" if report.served else "its base, token limit"
    lines = [
        f"Model: {report.model}. All arms share {shared}, stop rule and greedy decoding.",
        "Every setting was chosen on validation rows before the first test item was answered "
        "(choices.json has the time). Each arm then answered the test items once.",
        "Interval of a score: Wilson for scores of 0 or 1, else Student's t over the scores plus one 0 and one 1. "
        "Items of one group ([dataset] group_by) count as their mean.",
    ]
    if report.kind == "run":
        lines.append(
            "Interval of a difference: Student's t over the paired differences plus one +1 and one -1, cut to -1..1. "
            "It covers the choice of items. It covers another training run only if several were measured."
        )
    return [*lines, *tied_forms(arms), *dict.fromkeys(told)]


def _chain(folder: Path, report: Report, verdict: Verdict | None) -> list[tuple[str, str]]:
    made = {**report.made_from, **(verdict.made_from if verdict else {})}
    own = {f"evaluations/{folder.name}/report.json": sha256_file(folder / "report.json")}
    return sorted({**made, **own}.items())

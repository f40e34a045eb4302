"""The first screen of a page for whoever decides: the result, the task, example rows, the price, the largest risks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advisor.rulefiles import load_rulebook
from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.registry import arm_name
from evaluation.measured_answers import read_answers
from evaluation.measurement_report import Report
from evaluation.verdict.intervals import TOLERANCE
from evaluation.verdict.rule import Verdict
from rung.text import baseline_text, verdict_text
from workspace.counted import counted, percent
from workspace.folder import Project

LARGEST = 3
"""Number of risks, and of example rows, on the first screen."""


@dataclass(frozen=True, slots=True)
class Fold:
    """All that the first screen shows. `examples` are rows of `items.item_rows`; `columns` name their outputs."""

    title: str
    lead: str
    second: str = ""
    accepted: str = ""
    facts: Sequence[tuple[str, str]] = ()
    examples_title: str = ""
    columns: Sequence[str] = ()
    examples: Sequence[Mapping[str, Any]] = ()
    risks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ExampleItems:
    """Items that a page may show (`items.item_rows`), the names of their columns, and whether they are of the test."""

    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[str]
    split: str


def fold_of(
    project: Project, report: Report, verdict: Verdict | None, price: str, items: ExampleItems, risks: Sequence[str]
) -> Fold:
    """Return the first screen of a baseline, or of a run with its verdict. `risks` are sentences, the largest first."""
    title, lead, second = headline(report, verdict)
    examples, show = examples_of(items.rows)
    picked = f", picked to show {show}" if show else ""
    measured = f"{report.created_at.date()}, on {counted(report.n, 'test item')} of {report.dataset}"
    return Fold(
        title,
        lead,
        second,
        accepted_words(verdict),
        [
            ("task", task_words(project)),
            ("model", report.model),
            ("scores", score_words(report, verdict)),
            ("measured", f"{measured}, by {baseline_text.metric_words(report.metric)}"),
            ("price", verdict_text.price_phrase(verdict) if verdict else price),
        ],
        f"{len(examples)} of {counted(len(items.rows), f'{items.split} item')}{picked}",
        items.columns,
        examples,
        risks[:LARGEST],
    )


def headline(report: Report, verdict: Verdict | None) -> tuple[str, str, str]:
    """Title, first and second sentence of a baseline, or of a run with its verdict."""
    if verdict is None:
        return "The ladder, measured", baseline_text.answer(report), baseline_text.best_sentence(report)
    first, second = verdict_text.sentences(verdict)
    return verdict_text.TITLES[verdict.verdict], first, second


def score_words(report: Report, verdict: Verdict | None) -> str:
    """`tuned 90.0%, retrieved few-shot 20.0%, classifier 64.0%`: tuned model, chosen prompt, classifiers."""
    scores = {arm.arm: arm.score for arm in report.arms}
    if verdict:
        scores = {"tuned": verdict.tuned, verdict.chosen: verdict.baseline, **{r.arm: r.score for r in verdict.arms}}
    chosen = verdict.chosen if verdict else report.chosen
    named = [name for name in dict.fromkeys(("tuned", chosen, *CLASSIFIERS)) if name in scores]
    return ", ".join(f"{arm_name(name)} {percent(scores[name])}" for name in named)


def accepted_words(verdict: Verdict | None) -> str:
    """Return who accepted a judgement, when and why; empty if nobody did."""
    accepted = verdict.accepted if verdict else None
    return f"Accepted by {accepted.by}, {accepted.at.date()}: “{accepted.reason}”" if accepted else ""


def task_words(project: Project) -> str:
    """Return the answer to "What should the model do?", in the words of the questionnaire."""
    said = read_answers(project).known().get("task")
    choices = {choice.value: choice for choice in load_rulebook(None).questions["task"].answers}
    found = choices.get(said) if isinstance(said, str) else None
    return f"{found.text} (such as: {found.example})" if found else "not answered: rung advise"


def examples_of(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], str]:
    """Up to three rows, first one that the last column answers better than the first, then one that it answers worse;
    and what they show: `a gain and a loss`. With one column the two are a right and a wrong answer.
    """
    names = ("a gain", "a loss") if rows and len(rows[0]["outputs"]) > 1 else ("a right answer", "a wrong one")
    picked, shown = [], []
    for sign, name in zip((1, -1), names, strict=True):
        if row := next((row for row in rows if sign * _gain(row) > TOLERANCE), None):
            picked.append(row)
            shown.append(name)
    others = [row for row in rows if not any(row is one for one in picked)]
    return [*picked, *others[: LARGEST - len(picked)]], " and ".join(shown)


def _gain(row: Mapping[str, Any]) -> float:
    """Return the last column's score minus the first one's; of a single column 1 if it is right, -1 if it is wrong."""
    scores = [score for _, score in row["outputs"]]
    return float(scores[-1] - scores[0]) if len(scores) > 1 else float(2 * scores[0] - 1)

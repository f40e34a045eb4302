"""Items of an evaluation page, question, expected answer and outputs side by side, personal data masked; and its first
screen for whoever decides: the result, the task, example rows, the price, the largest risks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from advisor.answer_file import answers_at
from advisor.rulefiles import load_rulebook
from curation.mask import mask
from curation.split.manifest import load_split, newest_dataset, read_manifest
from curation.store import open_store
from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.registry import arm_name
from evaluation.choose import Choices
from evaluation.looks import split_to_show
from evaluation.measurement_report import ArmResult, ItemOutcome, Report, read_outcomes
from evaluation.metrics.text import ClassFigures, class_report, corpus
from evaluation.retrieval import NearTrainRow, TrainRowIndex
from evaluation.verdict.intervals import TOLERANCE
from evaluation.verdict.rule import Verdict
from rung.report.page import shown as shown_text
from rung.text import baseline_text, verdict_text
from workspace.artefact import read_artefact
from workspace.counted import counted, percent
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import EVERY_TURN, Settings, load_settings

MOST_CONFUSIONS = 25


@dataclass(frozen=True, slots=True)
class Shown:
    """Outcomes that a page may show, by arm in the chosen forms: of test items or, while these are locked, of the
    validation items that settings were chosen on; `questions` by the items' numbers.
    """

    split: str
    outcomes: Mapping[str, list[ItemOutcome]]
    questions: Mapping[int, str]


class ItemRow(TypedDict):
    """One item of a page, masked: `outputs` are (text, score) of each column, `near` train rows in words."""

    item: int
    question: str
    expected: str
    outputs: list[tuple[str, float]]
    near: NotRequired[list[str]]


def shown_items(project: Project, folder: Path, baseline: Report | None) -> Shown:
    """Return the outcomes that a page may show. Arms not tried on validation are missing while test is shut."""
    settings = load_settings(project.settings_file)
    report = read_artefact(folder / "report.json", Report)
    split = split_to_show(project, settings, report.test_sha256)
    found: dict[str, list[ItemOutcome]] = {}
    for path in [project.evaluations / baseline.id, folder] if baseline else [folder]:
        forms = {a.arm: a.form for a in read_artefact(path / "report.json", Report).arms}
        for outcome in read_outcomes(path / "outputs.jsonl"):
            if outcome.split == split and forms.get(outcome.arm) == outcome.form:
                found.setdefault(outcome.arm, []).append(outcome)
    items = next(iter(found.values()), [])
    if split == "test":
        rows = load_split(project.datasets / report.dataset, "test")
        questions = {o.item: o.asked(rows) for o in items}
    else:
        questions = _validation_questions(project, settings, folder, report, items) if found else {}
    return Shown(split, found, questions)


def _validation_questions(
    project: Project, settings: Settings, folder: Path, report: Report, items: Sequence[ItemOutcome]
) -> dict[int, str]:
    """Return the questions of the store's rows that chose, by id; else of the frozen validation split."""
    ids = read_artefact(folder / "choices.json", Choices).validation_rows
    if any(ids):
        with open_store(project, settings) as store:
            chose = [(o, store.row(name).example) for o, name in zip(items, ids, strict=False) if name]
        return {o.item: row.until(o.turn).question for o, row in chose}
    full = newest_dataset(project, complete=True)
    if full is None or read_manifest(full).splits["test"].sha256 != report.test_sha256:
        return {}
    rows = load_split(full, "validation")
    return {o.item: o.asked(rows) for o in items}


def item_rows(shown: Shown, columns: Sequence[str]) -> list[ItemRow]:
    """Return one row an item, with the outputs and scores of `columns` (arms)."""
    return [
        {
            "item": parts[0].item,
            "question": mask(shown.questions.get(parts[0].item, "")),
            "expected": mask(parts[0].expected),
            "outputs": [(mask(o.output), o.score) for o in parts],
        }
        for parts in zip(*(shown.outcomes[name] for name in columns), strict=True)
    ]


def moved(rows: Sequence[ItemRow], sign: int) -> list[ItemRow]:
    """Return items on which the last column is better (1) or worse (-1) than the first; right or wrong with one."""
    return [row for row in rows if sign * _gain(row) > TOLERANCE]


def with_neighbours(project: Project, report: Report, rows: list[ItemRow]) -> list[ItemRow]:
    """Return the same rows, each with the train rows nearest to it, where the run's dataset has a train split."""
    folder = project.datasets / report.dataset
    if not rows or "train" not in read_manifest(folder).splits:
        return rows
    found = TrainRowIndex(folder).of([row["question"] for row in rows])
    return [{**row, "near": [near_words(near) for near in some]} for row, some in zip(rows, found, strict=True)]


def near_words(row: NearTrainRow) -> str:
    """Return one train row in a line: what it says, how near, and who let it in."""
    name = row.id or f"train line {row.line}"
    who = f"{row.state or 'not reviewed'} by {row.reviewer}"
    question, answer = shown_text(mask(row.question), 120), shown_text(mask(row.answer), 80)
    return f"{name}, {row.similarity:.2f}: {question} → {answer} ({who}; {row.source})"


def near_json(rows: Sequence[NearTrainRow]) -> list[JsonObject]:
    """Return the rows for `--json`: what they are, without their texts."""
    return [
        {"id": r.id or None, "line": r.line, "similarity": r.similarity, "reviewer": r.reviewer,
         "state": r.state, "source": r.source} for r in rows
    ]  # fmt: skip


def corpus_lines(report: Report, shown: Shown, arms: Sequence[ArmResult]) -> list[str]:
    """Corpus BLEU or chrF of each arm with sacrebleu's signature, where the primary metric is its sentence form."""
    metric = report.metric.removesuffix(EVERY_TURN)
    if metric not in ("bleu", "chrf"):
        return []
    kind: Literal["BLEU", "CHRF"] = "BLEU" if metric == "bleu" else "CHRF"
    lines, signature = [], ""
    for arm in arms:
        outcomes = shown.outcomes.get(arm.arm, [])
        if outcomes:
            value, signature = corpus(kind, [o.output for o in outcomes], [o.expected for o in outcomes])
            lines.append(f"{arm_name(arm.arm)}: corpus {metric} {100 * value:.1f}")
    return [*lines, f"signature {signature}"] if lines else []


def class_rows(
    arms: Sequence[ArmResult], outcomes: Mapping[str, list[ItemOutcome]], columns: Sequence[str]
) -> list[ClassFigures]:
    """Precision, recall and F1 of each class for the last column, the weakest first; none where answers form no set."""
    arm = next((a for a in arms if columns and a.arm == columns[-1]), None)
    if arm is None or "macro_f1" not in arm.extra:
        return []
    found = outcomes[arm.arm]
    figures = class_report([o.output for o in found], [o.expected for o in found])
    named = (replace(each, name=mask(each.name)) for each in figures.each)
    return sorted(named, key=lambda each: (each.f1, -each.items, each.name))


def confusion(outcomes: Sequence[ItemOutcome]) -> list[tuple[str, str, int]]:
    """Expected, answered, how often; what happened once is left out."""
    pairs = Counter((mask(o.expected.strip()), mask(o.output.strip())) for o in outcomes if o.score < 1)
    return [(expected, found, n) for (expected, found), n in pairs.most_common(MOST_CONFUSIONS) if n > 1]


LARGEST = 3
"""Number of risks, and of example rows, on the first screen."""


@dataclass(frozen=True, slots=True)
class Fold:
    """All that the first screen shows. `columns` name the outputs of the examples."""

    title: str
    lead: str
    second: str = ""
    accepted: str = ""
    facts: Sequence[tuple[str, str]] = ()
    examples_title: str = ""
    columns: Sequence[str] = ()
    examples: Sequence[ItemRow] = ()
    risks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ExampleItems:
    """Items that a page may show, the names of their columns, and whether they are of the test."""

    rows: Sequence[ItemRow]
    columns: Sequence[str]
    split: str


def fold_of(
    project: Project, report: Report, verdict: Verdict | None, price: str, items: ExampleItems, risks: Sequence[str]
) -> Fold:
    """Return the first screen of a baseline, or of a run with its verdict. `risks` are sentences, the largest first."""
    title, lead, second = "The ladder, measured", baseline_text.answer(report), baseline_text.best_sentence(report)
    accepted = verdict.accepted if verdict else None
    if verdict:
        title, (lead, second) = verdict_text.TITLES[verdict.verdict], verdict_text.sentences(verdict)
    examples, show = examples_of(items.rows)
    picked = f", picked to show {show}" if show else ""
    measured = f"{report.created_at.date()}, on {counted(report.n, 'test item')} of {report.dataset}"
    return Fold(
        title,
        lead,
        second,
        f"Accepted by {accepted.by}, {accepted.at.date()}: “{accepted.reason}”" if accepted else "",
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


def score_words(report: Report, verdict: Verdict | None) -> str:
    """`tuned 90.0%, retrieved few-shot 20.0%, classifier 64.0%`: tuned model, chosen prompt, classifiers."""
    scores = {arm.arm: arm.score for arm in report.arms}
    if verdict:
        scores = {"tuned": verdict.tuned, verdict.chosen: verdict.baseline, **{r.arm: r.score for r in verdict.arms}}
    chosen = verdict.chosen if verdict else report.chosen
    named = [name for name in dict.fromkeys(("tuned", chosen, *CLASSIFIERS)) if name in scores]
    return ", ".join(f"{arm_name(name)} {percent(scores[name])}" for name in named)


def task_words(project: Project) -> str:
    """Return the answer to "What should the model do?", in the words of the questionnaire."""
    said = answers_at(project.answers_file).known().get("task")
    choices = {choice.value: choice for choice in load_rulebook(None).questions["task"].answers}
    found = choices.get(said) if isinstance(said, str) else None
    return f"{found.text} (such as: {found.example})" if found else "not answered: rung advise"


def examples_of(rows: Sequence[ItemRow]) -> tuple[list[ItemRow], str]:
    """Up to three rows, first one that the last column answers better than the first, then one that it answers worse;
    and what they show: `a gain and a loss`. With one column the two are a right and a wrong answer.
    """
    names = ("a gain", "a loss") if rows and len(rows[0]["outputs"]) > 1 else ("a right answer", "a wrong one")
    picked, shown = [], []
    for sign, name in zip((1, -1), names, strict=True):
        if found := moved(rows, sign):
            picked.append(found[0])
            shown.append(name)
    others = [row for row in rows if not any(row is one for one in picked)]
    return [*picked, *others[: LARGEST - len(picked)]], " and ".join(shown)


def _gain(row: ItemRow) -> float:
    """Return the last column's score minus the first one's; of a single column 1 if it is right, -1 if it is wrong."""
    scores = [score for _, score in row["outputs"]]
    return scores[-1] - scores[0] if len(scores) > 1 else 2 * scores[0] - 1

"""The items of an evaluation page: question, expected answer and outputs side by side, personal data masked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from curation.mask import mask
from curation.split.manifest import load_split, newest_dataset, read_manifest
from curation.store import open_store
from evaluation.arms.registry import arm_name
from evaluation.choose import Choices
from evaluation.measurement_report import ArmResult, ItemOutcome, Report, read_outcomes
from evaluation.metrics.text import ClassFigures, class_report, corpus
from evaluation.retrieval import NearTrainRow, TrainRowIndex
from evaluation.testset.looks import split_to_show
from rung.report.page import shown as shown_text
from workspace.artefact import read_artefact
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
    """Return items on which tuned (the last column) is better (1) or worse (-1) than the best prompt (the first)."""
    return [row for row in rows if sign * (row["outputs"][-1][1] - row["outputs"][0][1]) > 1e-9]


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

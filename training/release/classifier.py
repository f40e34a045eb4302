"""The form `classifier`: the plain classifier that a baseline measured, as weights without pickle, for use without
Rung.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from curation.split.manifest import load_split
from evaluation.arms import classical
from evaluation.arms.dev_rows import rows_for
from evaluation.measurement_report import ArmResult, Report, read_outcomes
from training.release.permission import refuse_unmeasured
from training.release.releases import Release, ReleasedForm, folder_bytes
from workspace.errors import Refusal
from workspace.files import write_text
from workspace.folder import Project
from workspace.settings import Settings

FOLDER = "classifier"
PROGRAM = Path(__file__).with_name("programs") / "predict.py"
MEASURE = "rung baseline --arms classifier"


def measured_classifier(report: Report) -> ArmResult:
    """The classifier of a baseline. Raises Refusal where none was measured, or its answers were lost."""
    found = next((arm for arm in report.arms if arm.arm == classical.NAME), None)
    if found is None:
        raise Refusal(f"{report.id} measured no classifier.", MEASURE)
    refuse_unmeasured(report, classical.NAME)
    return found


def make_classifier(project: Project, settings: Settings, report: Report, folder: Path) -> ReleasedForm:
    """Fit it again on the rows that it was measured with, and write vocabulary, weights and program.

    Raises Refusal where it does not give the very answers to the test items that were measured.
    """
    arm, dataset = measured_classifier(report), project.datasets / report.dataset
    rows = rows_for(project, settings, dataset, load_split(dataset, "test"))
    if len(rows.examples) != arm.settings.get("rows"):
        raise Refusal(
            f"{report.id} measured the classifier on {arm.settings.get('rows')} rows, there are {len(rows.examples)} "
            "now.",
            MEASURE,
        )
    strength = arm.settings["C"]
    assert isinstance(strength, int | float)
    fitted = classical.fit(rows.examples, float(strength))
    folder.mkdir(parents=True)
    _write_weights(folder, fitted)
    shutil.copyfile(PROGRAM, folder / PROGRAM.name)
    compared = _compare(project, report, folder)
    facts = {"arm": arm.arm, "score": arm.score, "low": arm.low, "high": arm.high, "n": arm.n, "settings": arm.settings}
    against = f"same answer to {compared} of {compared} test items"
    return ReleasedForm(form="classifier", folder=FOLDER, bytes=folder_bytes(folder), against=against, facts=facts)


def classifier_card(release: Release, report: Report) -> str:
    """The card's own part: what it is, how it is used, what it cannot do."""
    arm = measured_classifier(report)
    return "\n\n".join(
        [
            f"# {release.id}: the classifier",
            f"TF-IDF of words and of character 2- to 4-grams, then logistic regression (C {arm.settings['C']:g}), "
            f"fitted on {arm.settings['rows']:,} rows of {report.dataset}. No language model.",
            '```\necho "your question" | python classifier/predict.py\n```',
            "It needs numpy, and no Rung. One question a line in; `answer` and `probability` as JSON out. It knows the "
            "answers in `vocabulary.json` and no others, and the words of its rows: a question in another language or "
            "of another topic still gets one of them, often with a low probability.",
        ]
    )


def _write_weights(folder: Path, fitted: Any) -> None:
    import numpy as np

    union, model = fitted[0], fitted[-1]
    words, characters = (part for _, part in union.transformer_list)
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:  # two answers: one row of weights, for the second
        weights, bias = np.vstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
    parts = {
        "words": list(words.get_feature_names_out()),
        "characters": list(characters.get_feature_names_out()),
        "answers": [str(answer) for answer in model.classes_],
    }
    write_text(folder / "vocabulary.json", json.dumps(parts, ensure_ascii=False) + "\n")
    np.savez_compressed(
        folder / "weights.npz", idf_words=words.idf_, idf_characters=characters.idf_, weights=weights, bias=bias
    )


def _compare(project: Project, report: Report, folder: Path) -> int:
    """The number of test items, each answered as it was measured."""
    from training.release.programs.predict import Classifier

    classifier = Classifier(folder)
    test = load_split(project.datasets / report.dataset, "test")
    outcomes = read_outcomes(project.evaluations / report.id / "outputs.jsonl")
    measured = {o.item: o.output for o in outcomes if (o.split, o.arm) == ("test", classical.NAME)}
    other = [n for n, output in measured.items() if classifier.predict(test[n - 1].question)["answer"] != output]
    if other or not measured:
        raise Refusal(
            f"The classifier of today's rows gives another answer to {len(other)} of {len(measured)} test items than "
            f"{report.id} measured: rows, settings or scikit-learn changed since.",
            MEASURE,
        )
    return len(measured)

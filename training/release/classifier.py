"""The forms `classifier` and `encoder`: a baseline's classifier, without pickle, for use without Rung."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chat.local.embed import open_embedder
from curation.split.manifest import load_split
from evaluation.arms import classifiers
from evaluation.arms.classifiers import TUNED_FEATURES, tuned_embedder
from evaluation.bench import DevRows, rows_for
from evaluation.measurement_report import ArmResult, Report, read_outcomes
from evaluation.retrieval import Meanings, vectorizer
from training.release.permission import refuse_unmeasured
from training.release.releases import FormName, ReleasedForm, folder_bytes
from workspace.errors import Refusal
from workspace.files import write_text
from workspace.folder import Project, folder_named
from workspace.settings import Settings

ARM: dict[FormName, str] = {"classifier": classifiers.CLASSICAL, "encoder": classifiers.ENCODER}
PROGRAM = Path(__file__).with_name("programs") / "predict.py"
READS = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
         "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model")  # fmt: skip
"""Files of an embedding model that are released with it, as far as they are there."""


def measured_classifier(form: FormName, report: Report) -> ArmResult:
    """Return the classifier of a baseline. Raises Refusal if none was measured, or its answers were lost."""
    found = next((arm for arm in report.arms if arm.arm == ARM[form]), None)
    if found is None:
        raise Refusal(f"{report.id} measured no {form}.", _measure(form))
    refuse_unmeasured(report, found.arm)
    return found


def make_classifier(form: FormName, project: Project, settings: Settings, report: Report, folder: Path) -> ReleasedForm:
    """Fit it again on the rows that it was measured with, and write vocabulary, weights and program.

    Raises Refusal if it does not give the very answers to the test items that were measured.
    """
    from training.release.programs.predict import Classifier

    arm, dataset = measured_classifier(form, report), project.datasets / report.dataset
    test = load_split(dataset, "test")
    rows = rows_for(project, settings, dataset, test)
    if len(rows.examples) != arm.settings.get("rows"):
        raise Refusal(
            f"{report.id} measured the {form} on {arm.settings.get('rows')} rows, there are {len(rows.examples)} now.",
            _measure(form),
        )
    strength = arm.settings["C"]
    assert isinstance(strength, int | float)
    folder.mkdir(parents=True)
    if form == "encoder":
        tuning = str(arm.settings["features"]).endswith(TUNED_FEATURES)
        write_sentences(folder, rows, float(strength), settings, tuning=tuning)
    else:
        write_words(folder, rows, float(strength))
    shutil.copyfile(PROGRAM, folder / PROGRAM.name)
    classifier = Classifier(folder)
    outcomes = read_outcomes(project.evaluations / report.id / "outputs.jsonl")
    measured = {o.asked(test): o.output for o in outcomes if (o.split, o.arm) == ("test", ARM[form])}
    other = [asked for asked, output in measured.items() if classifier.predict(asked)["answer"] != output]
    if other or not measured:
        raise Refusal(
            f"The {form} of today's rows gives another answer to {len(other)} of {len(measured)} test items than "
            f"{report.id} measured: rows, settings or a library changed since.",
            _measure(form),
        )
    facts = {"arm": arm.arm, "score": arm.score, "low": arm.low, "high": arm.high, "n": arm.n, "settings": arm.settings}
    against = f"same answer to {len(measured)} of {len(measured)} test items"
    return ReleasedForm(form=form, folder=folder.name, bytes=folder_bytes(folder), against=against, facts=facts)


def write_words(folder: Path, rows: DevRows, strength: float) -> Any:
    """Vocabulary and weights of the classifier; gives the pipeline."""
    fitted = classifiers.fit(vectorizer(), rows.examples, strength, rows.validation)
    words, characters = (part for _, part in fitted[0].transformer_list)
    names = {
        "words": list(words.get_feature_names_out()),
        "characters": list(characters.get_feature_names_out()),
    }
    _write_weights(folder, fitted, names, idf_words=words.idf_, idf_characters=characters.idf_)
    return fitted


def write_sentences(folder: Path, rows: DevRows, strength: float, settings: Settings, *, tuning: bool) -> Any:
    """Write the embedding model and the weights of the encoder; returns the pipeline."""
    named = settings.evaluation.embedding_model
    embedder = open_embedder(folder_named(named) if named else None)
    if tuning:
        embedder = tuned_embedder(embedder, rows.examples)
    fitted = classifiers.fit(classifiers.embedded(Meanings(embedder)), rows.examples, strength, rows.validation)
    (folder / "model").mkdir()
    for name in READS:
        if (embedder.folder / name).is_file():
            shutil.copyfile(embedder.folder / name, folder / "model" / name)
    if tuning:
        embedder.model.save_pretrained(folder / "model")
    _write_weights(folder, fitted, {"longest": embedder.longest})
    return fitted


def _write_weights(folder: Path, fitted: Any, parts: Mapping[str, object], **arrays: Any) -> None:
    import numpy as np

    model = fitted[-1]
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:  # two answers: one row of weights, for the second
        weights, bias = np.vstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
    parts = {**parts, "answers": [str(answer) for answer in model.classes_]}
    write_text(folder / "vocabulary.json", json.dumps(parts, ensure_ascii=False) + "\n")
    np.savez_compressed(folder / "weights.npz", weights=weights, bias=bias, **arrays)


def _measure(form: FormName) -> str:
    return f"rung baseline --arms {form}"

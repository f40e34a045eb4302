"""Metrics that read JSON: every prompted arm is measured free and held to the shape: none loses by form alone."""

import json

import pytest
from bank import ladder
from scripted import Scripted

from curation.example import chat_row
from evaluation.metrics.json_documents import is_strict, json_shape
from rung.report.evaluation import write_page
from rung.text.evaluation_text import tied_forms
from workspace.settings import load_settings

SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string"}, "place": {"type": "string"}},
    "required": ["topic", "place"],
    "additionalProperties": False,
}


def fields_of(question):
    topic, _, rest = question.partition(" ")
    return {"topic": topic, "place": " ".join(rest.split()[1:3])}


@pytest.fixture
def measured(project, kit):
    """`measured(say, *arms)`: a ladder on rows whose answers are JSON objects, measured field by field."""

    def rows(extra, places):
        for row in kit.rows_of(places, extra):
            question = row["messages"][0]["content"]
            yield chat_row(question, json.dumps(fields_of(question)))

    parts = {"test": (" today", kit.PLACES), "validation": (" now", kit.PLACES[:4]), "train": (" then", kit.PLACES)}
    kit.freeze_by_hand(project, "v001", **{name: list(rows(*which)) for name, which in parts.items()})
    project.settings_file.write_text('[evaluation]\nmetric = "json_fields"\nfew_shot = 3\n')
    settings = load_settings(project.settings_file, {})
    return lambda say, *arms: ladder(project, settings, Scripted(say, name="scripted-1"), *arms)


def talks(ask):
    """A model that knows the answer and wraps it in prose, unless it is held."""
    found = json.dumps(fields_of(ask.turns[-1]["content"]))
    return found if "shape" in ask.meta else f"Sure! Here you are: {found}"


def test_a_model_that_talks_is_judged_by_its_better_form(measured):
    shapes = []

    def notes(ask):
        shapes.extend([ask.meta["shape"]] if "shape" in ask.meta else [])
        return talks(ask)

    _, report = measured(notes, "base", "few_shot")
    for arm in report.arms:
        assert (arm.form, arm.score) == ("held", 1.0)
        assert arm.validation_forms == {"free": 0.0, "held": 1.0}
    assert shapes[0] == {"type": "object", "required": ["topic", "place"]}


def test_the_shape_is_the_named_schema_or_what_all_answers_are_and_hosted_models_are_held_only_to_strict_ones(tmp_path):
    (tmp_path / "shape.json").write_text(json.dumps(SCHEMA))
    assert json_shape("json_schema:shape.json", tmp_path, []) == SCHEMA
    objects = json_shape("json_fields", tmp_path, ['{"a": 1, "b": 2}', '{"b": 3}'])
    assert objects == {"type": "object", "required": ["b"]}
    assert json_shape("json_valid", tmp_path, ["[1]", "[]"]) == {"type": "array"}
    assert json_shape("json_valid", tmp_path, ["[1]", "{}"]) == {}
    assert json_shape("exact_match", tmp_path, ["[1]"]) is None
    for text, shape in (("true", {}), ("false", {"enum": []}), ('{"items": true}', {"items": True})):
        (tmp_path / "shape.json").write_text(text)
        assert json_shape("json_schema:shape.json", tmp_path, []) == shape
        assert not is_strict(shape)
    assert is_strict(SCHEMA)
    assert not is_strict({"type": "object", "required": ["a"]})
    inner = {**SCHEMA, "properties": {**SCHEMA["properties"], "more": {"type": "object"}}}
    assert not is_strict({**inner, "required": ["topic", "place", "more"]})
    assert not is_strict({})


def test_a_tie_goes_to_the_form_that_fails_less_often_by_form_and_is_said(measured, kit):
    """Both forms are wrong on the validation rows; only the free one is wrong by its form as well."""

    def talks_here(ask):
        question = ask.turns[-1]["content"]
        return talks(ask) if question.endswith("today") and kit.PLACES[0] not in question else nowhere(ask)

    def nowhere(ask):
        found = json.dumps({"topic": "none", "place": "nowhere"})
        return found if "shape" in ask.meta else f"Sure! Here you are: {found}"

    _, report = measured(talks_here, "base")
    assert set(report.arms[0].validation_forms.values()) == {0.0}
    assert report.arms[0].form == "held" and 0 < report.arms[0].score < 1
    assert len(tied_forms(report.arms)) == 1


def test_a_tie_of_answers_in_form_goes_to_the_free_one_and_is_said(project, measured):
    folder, report = measured(lambda ask: json.dumps({"topic": "card", "place": "nowhere"}), "base")
    assert report.arms[0].form == "free"
    assert len(set(report.arms[0].validation_forms.values())) == 1
    (told,) = tied_forms(report.arms)
    assert told in write_page(project, folder).read_text()

"""Static examples go out as they were measured, also where a freeze has changed the rows since."""

from __future__ import annotations

import json

import pytest

from curation.example import Example, chat_row
from curation.split.manifest import load_split
from evaluation.arms.arm_material import ArmMaterial, PromptVersion
from evaluation.arms.prompted import static
from evaluation.measurement_report import Report
from training.release.released_prompt import ReleasedPrompt, make_prompt, parts_of
from workspace.artefact import read_artefact
from workspace.errors import RungError
from workspace.files import write_text
from workspace.settings import load_settings

TURNS = ({"role": "user", "content": "which one?"},)
PROMPT = PromptVersion("base.md", "Answer.")


def material(rows):
    examples = tuple(Example(chat_row(f"question {n}", f"C{n % 3}")) for n in rows)
    return ArmMaterial(base=PROMPT, prompts=(PROMPT,), examples=examples, few_shot=4)


def test_the_same_examples_in_the_same_order():
    variant = static(material(range(9)), 4, PROMPT)
    settings = json.loads(json.dumps(dict(variant.settings)))
    parts = parts_of("few_shot", settings, material(range(30)), 16)
    assert ReleasedPrompt(parts).messages(list(TURNS)) == [dict(turn) for turn in variant.render(TURNS)]


def test_a_row_that_is_gone_is_told():
    settings = json.loads(json.dumps(dict(static(material(range(9)), 4, PROMPT).settings)))
    with pytest.raises(RungError, match="few_shot"):
        parts_of("few_shot", settings, material(range(100, 103)), 16)


def test_an_example_that_a_freeze_moved_to_validation_goes_out_too(ready):
    """A baseline on the frozen test set; then one of its examples lies in validation of the next version."""
    settings = load_settings(ready.settings_file)
    validation, train = (load_split(ready.datasets / "v001", split) for split in ("validation", "train"))
    measured = ArmMaterial(base=PROMPT, prompts=(), examples=(*train[:5], validation[0]), few_shot=6)
    arm = json.loads(json.dumps(dict(static(measured, 6, PROMPT).settings)))
    assert len(arm["examples"]) == 6
    report = read_artefact(ready.evaluations / "E-001" / "report.json", Report)
    results = [a.model_copy(update={"arm": "few_shot", "settings": arm}) for a in report.arms if a.arm == report.chosen]
    report = report.model_copy(update={"arms": results, "chosen": "few_shot"})
    write_text(ready.prompts / PROMPT.name, PROMPT.text)
    form = make_prompt(ready, settings, report, ready.root / "form")
    assert form.facts["examples"] == 6

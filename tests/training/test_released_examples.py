"""Static examples go out as they were measured, also where a freeze has changed the rows since."""

from __future__ import annotations

import json

import pytest

from curation.example import Example, chat_row
from evaluation.arms.few_shot import static
from evaluation.arms.material import Material, Prompt
from training.release.prompt import ReleasedPrompt, parts_of
from workspace.errors import RungError

TURNS = ({"role": "user", "content": "which one?"},)
PROMPT = Prompt("base.md", "Answer.")


def material(rows):
    examples = tuple(Example(chat_row(f"question {n}", f"C{n % 3}")) for n in rows)
    return Material(base=PROMPT, prompts=(PROMPT,), examples=examples, few_shot=4)


def test_the_same_examples_in_the_same_order():
    variant = static(material(range(9)), 4, PROMPT)
    settings = json.loads(json.dumps(dict(variant.settings)))
    parts = parts_of("few_shot", settings, material(range(30)), 16)
    assert ReleasedPrompt(parts).messages(list(TURNS)) == [dict(turn) for turn in variant.render(TURNS)]


def test_a_row_that_is_gone_is_told():
    settings = json.loads(json.dumps(dict(static(material(range(9)), 4, PROMPT).settings)))
    with pytest.raises(RungError, match="cannot be made"):
        parts_of("few_shot", settings, material(range(100, 103)), 16)

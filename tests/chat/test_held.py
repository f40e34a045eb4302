"""Held to a JSON shape: whatever a small model would say, it answers a document that fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chat.local.held import guide_of
from chat.local.load import load
from chat.local.model import LocalModel
from chat.protocols import Ask
from workspace.errors import RungError

SHAPE = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "enum": ["E10", 'E1"1', "Ü"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "parts": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
        "note": {"type": ["string", "null"], "maxLength": 4},
    },
    "required": ["code", "count"],
    "additionalProperties": False,
}
ASKED = ({"role": "user", "content": "Give the code and the count for: two eyes, type 1."},)


@pytest.fixture(scope="module")
def model(small: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(load(str(small), threads=1), batch=4, checks=tmp_path_factory.mktemp("held") / "checks.json")


def held(shape: object, tokens: int = 48) -> Ask:
    return Ask(ASKED, tokens, meta={"shape": shape})


def test_a_small_model_answers_what_fits_beside_a_free_answer_and_one_that_is_cut(model: LocalModel) -> None:
    array = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3}
    shapes: list[Any] = [SHAPE, {"enum": ["Ü", [1.5]]}, array]
    free = Ask(ASKED, 12)
    alone = model.answer([free])[0].text
    *fitting, beside, cut = model.answer([*map(held, shapes), free, held(SHAPE, 6)])
    for shape, reply in zip(shapes, fitting, strict=True):
        assert reply.stopped == "end", shape
        jsonschema.validate(json.loads(reply.text), shape)
    assert beside.text == alone and cut.stopped == "length"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(cut.text)


def test_a_schema_that_cannot_be_followed_leaves_any_json(model: LocalModel) -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"items": deep}
    odd: list[Any] = [
        {"type": "string", "pattern": "^(?=a)b"},
        {"enum": []},
        {"type": "number", "maximum": float("1e999")},
        {"enum": ["a", "\ud83d"]},
        {"const": 10**400},
        {"$ref": "#"},
        deep,
    ]
    for reply in model.answer([held(shape, 8) for shape in odd]):
        assert reply.text[0] in '{["-0123456789tfn' and reply.stopped in ("end", "length")


def test_a_tokenizer_without_a_fast_form_is_refused_in_words() -> None:
    with pytest.raises(RungError) as refused:
        guide_of(object(), frozenset({2}))
    assert "tokenizer.json" in refused.value.hint

"""Held to a JSON shape: each beginning of a fitting document is open, nothing else is whole, the engine keeps to it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from chat.local.model import LocalModel
from chat.local.shape import state
from chat.protocols import Ask

SHAPE = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "enum": ["E10", 'E1"1', "Ü"]},
        "count": {"type": "number"},
        "parts": {"type": "array", "items": {"type": "boolean"}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["code", "count"],
    "additionalProperties": False,
}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FITTING = st.fixed_dictionaries(
    {"code": st.sampled_from(SHAPE["properties"]["code"]["enum"]), "count": st.integers() | st.floats(-9, 9)},
    optional={"parts": st.lists(st.booleans(), max_size=3), "note": st.none() | st.text(max_size=6)},
)


@tries(80)
@given(ANY, st.booleans(), st.sampled_from([None, 1]))
def test_every_beginning_of_a_document_is_open(document, escaped, indent):
    text = json.dumps(document, ensure_ascii=escaped, indent=indent)
    assert state(text, {}) == "done"
    assert all(state(text[:end], {}) != "no" for end in range(len(text)))


@tries(150)
@given(FITTING)
def test_every_beginning_of_a_fitting_document_is_open(document):
    text = json.dumps(document)
    whole = json.dumps(document, ensure_ascii=False)
    assert state(whole, SHAPE) == "done"
    assert all(state(whole[:end], SHAPE) == "open" for end in range(len(whole)))
    assert json.loads(text) == json.loads(whole)


@tries(150)
@given(FITTING, st.text('{}[]",:0123456789.-eE truefalsn\\ux', min_size=1, max_size=3), st.data())
def test_what_is_called_whole_is_json_and_fits(document, put, data):
    import jsonschema

    whole = json.dumps(document, ensure_ascii=False)
    place = data.draw(st.integers(0, len(whole)))
    text = whole[:place] + put + whole[data.draw(st.integers(place, len(whole))) :]
    if state(text, SHAPE) == "done":
        jsonschema.validate(json.loads(text), SHAPE)
    if state(text, {}) == "done":
        json.loads(text)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('{"other"', SHAPE),
        ('{"code": "E11', SHAPE),
        ('{"code": "E10"}', SHAPE),
        ("[", SHAPE),
        ('{"code": "E10", "code"', {**SHAPE, "properties": {"code": {}}}),
        ("01", {}),
        ('"\\q', {}),
        ('"\\u12"', {}),
        ('"a\nb', {}),
        ("1}", {}),
        (" " * 20, {}),
        ('{"a": 1, "a":', {}),
        ("nulL", {}),
        ('{"a": 2', {"properties": {"a": {"const": "x"}}}),
        ("3", {"enum": [10, 20]}),
        ('{"a": 1}', {"properties": {"a": {"enum": [10, 20]}}}),
        ("1.", {"type": "integer"}),
        ("1.5", {"type": "integer"}),
        ("1", {"enum": [True]}),
        ("f", {"enum": [True, "f"]}),
        ("[1", {"enum": ["a", [1.5]], "items": {"type": "string"}}),
        ("{", {"enum": ["a", 1]}),
        ("1", False),
        ("[1", {"items": False}),
        ('{"a":', {"properties": {"a": False}}),
        ('"Ö', {"enum": ["Ü"]}),
        ('"\udcf0', {"enum": ["Ü"]}),
        ('"\udcc3\udcbc"', {"enum": ["Ü"]}),
        ('"\udc80', {}),
        ('"\udcc3"', {}),
        ("\udcc3", {}),
        ("9" * 5000 + ",", {"enum": [9]}),
        ("[" * 100_000, {}),
    ],
)
def test_what_cannot_become_a_document_is_refused(text, shape):
    assert state(text, shape) == "no"


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('{"a": 1', {"properties": {"a": {"enum": [10, 20]}}}),
        ("[-", {"items": {"enum": [-1.5]}}),
        ('"\udcc3', {"enum": ["Ü", "ä"]}),
        ('{"\udce2\udc82', {"properties": {"€": {}}, "additionalProperties": False}),
        ('"\udcf0\udc9f', {}),
        ('{"a": t', {"properties": {"a": True}}),
    ],
)
def test_what_ends_inside_a_value_that_fits_is_open(text, shape):
    assert state(text, shape) == "open"


def shapes():
    """Random shapes with a document that fits each."""
    kinds = {
        "integer": st.integers(),
        "number": st.integers() | st.floats(-1e30, 1e30),
        "string": st.text(max_size=5),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    one = st.sampled_from(sorted(kinds)).flatmap(lambda k: st.tuples(st.just({"type": k}), kinds[k]))
    either = st.tuples(one, one).map(lambda two: ({"type": sorted({two[0][0]["type"], two[1][0]["type"]})}, two[0][1]))
    values = st.lists(ANY, min_size=1, max_size=4)
    listed = values.flatmap(lambda v: st.tuples(st.just({"enum": v}), st.sampled_from(v)))
    const = ANY.map(lambda value: ({"const": value}, value))
    free = st.tuples(st.sampled_from([True, {}]), ANY)
    leaves = one | either | listed | const | free
    return st.recursive(leaves, lambda inner: arrays(inner) | objects(inner), max_leaves=6)


def arrays(inner):
    return st.tuples(inner, st.integers(0, 3)).map(lambda p: ({"type": "array", "items": p[0][0]}, [p[0][1]] * p[1]))


@st.composite
def objects(draw, inner):
    fields = draw(st.dictionaries(st.text(max_size=3), inner, max_size=3))
    there = {name: value for name, (_, value) in fields.items() if draw(st.booleans())}
    required = [name for name in there if draw(st.booleans())]
    shape = {"type": "object", "properties": {name: of for name, (of, _) in fields.items()}, "required": required}
    return shape | draw(st.sampled_from([{}, {"additionalProperties": False}])), there


@tries(150)
@given(shapes(), st.text('{}[]",:0123456789.-eE truefalsn', max_size=3), st.data())
def test_any_shape_lets_its_documents_through_and_nothing_else(pair, put, data):
    import jsonschema

    shape, document = pair
    whole = json.dumps(document, ensure_ascii=False)
    assert state(whole, shape) == "done"
    assert all(state(whole[:end], shape) != "no" for end in range(len(whole)))
    place = data.draw(st.integers(0, len(whole)))
    text = whole[:place] + put + whole[data.draw(st.integers(place, len(whole))) :]
    if state(text, shape) == "done":
        jsonschema.validate(json.loads(text), shape)


def test_a_small_model_answers_json_whatever_it_would_say(local: LocalModel) -> None:
    asked = ({"role": "user", "content": "Give the code and the count for: two eyes, type 1."},)
    held = Ask(asked, 32, meta={"shape": SHAPE})
    free = Ask(asked, 12)
    alone = local.answer([free])[0].text
    first, second, third = local.answer([held, free, Ask(asked, 6, meta={"shape": SHAPE})])
    found = json.loads(first.text)
    assert first.stopped == "end" and found["code"] in SHAPE["properties"]["code"]["enum"]
    assert isinstance(found["count"], int | float)
    assert second.text == alone
    assert third.stopped == "length" and state(third.text, SHAPE) == "open"
    number = local.answer([Ask(asked, 8, meta={"shape": {"type": "number"}})])[0]
    assert isinstance(json.loads(number.text), int | float)

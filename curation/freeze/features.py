"""The columns of a frozen version for the card.

The Hugging Face JSON reader takes the columns from the first rows of each split, turns texts that look like dates into
dates, and stops where a later row or another split differs. With the columns written into the card it fills what is
missing with null; a column whose values are of several kinds is one of JSON, which `datasets` reads from 4.7 on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from curation.example import Example

Shape = Any
"""`"string"`, `"int64"`, `"float64"`, `"bool"`, `"null"`, `{key: Shape}`, `[Shape]`, or `"json"`: anything."""
MOST_KEYS = 100
"""Keys of a nested object from which they are names of things, not columns."""
DEEPEST = 1
"""Objects around an object from which unlike ones are JSON."""


def feature_lines(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """YAML lines of `dataset_info`; empty where there is no row."""
    shape = shape_of(example.row for rows in splits.values() for example in rows)
    if not isinstance(shape, dict):
        return []
    columns = {name: "json" if _holds_json(part) else part for name, part in shape.items()}
    return ["dataset_info:", "  config_name: default", "  features:", *_fields(columns, "  ")]


def shape_of(rows: Iterable[Mapping[str, Any]]) -> Shape:
    """The shape that holds all these rows."""
    return _merged_all((_shape(row, 0) for row in rows), 0)


def _holds_json(shape: Shape) -> bool:
    if isinstance(shape, dict):
        return not 0 < len(shape) <= MOST_KEYS or any(map(_holds_json, shape.values()))
    return _holds_json(shape[0]) if isinstance(shape, list) else bool(shape == "json")


def _merged_all(shapes: Iterable[Shape], depth: int) -> Shape:
    whole: Shape = "null"
    for shape in shapes:
        whole = _merged(whole, shape, depth)
    return whole


def _shape(value: Any, depth: int) -> Shape:
    """The shape of a value; `depth` objects stand around it."""
    if isinstance(value, Mapping):
        return {key: _shape(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_merged_all((_shape(part, depth) for part in value), depth)]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return "json"
    names = {str: "string", bool: "bool", int: "int64", float: "float64", type(None): "null"}
    return names[type(value)]


def _merged(one: Shape, other: Shape, depth: int) -> Shape:
    """The shape that holds both. Unlike objects share their keys (what one lacks is null) as rows and as the objects of
    a column; deeper they are left as they are, as JSON: the parameters of a tool mean something else with a null more.
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        if depth > DEEPEST and one.keys() != other.keys():
            return "json"
        keys = {**one, **other}
        return {key: _merged(one.get(key, "null"), other.get(key, "null"), depth + 1) for key in keys}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0], depth)]
    if isinstance(one, str) and isinstance(other, str) and {one, other} == {"int64", "float64"}:
        return "float64"
    return "json"


def _fields(shape: Mapping[str, Shape], indent: str) -> Iterator[str]:
    for name, part in shape.items():
        yield f"{indent}- name: {_quoted(name)}"
        yield from _kind(part, indent + "  ")


def _kind(shape: Shape, indent: str) -> Iterator[str]:
    if isinstance(shape, str):
        yield f"{indent}dtype: {_quoted(shape) if shape == 'null' else shape}"
        return
    inner = shape[0] if isinstance(shape, list) else shape
    word = "list" if isinstance(shape, list) else "struct"
    if isinstance(inner, str):
        yield f"{indent}{word}: {_quoted(inner) if inner == 'null' else inner}"
    elif isinstance(inner, list):
        yield f"{indent}{word}:"
        yield from _kind(inner, indent + "  ")
    else:
        yield f"{indent}{word}:"
        yield from _fields(inner, indent)


def _quoted(text: str) -> str:
    import json

    return text if text.isidentifier() and text not in ("null", "true", "false", "yes", "no") else json.dumps(text)

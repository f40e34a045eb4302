"""The columns of a frozen version for the card, where its splits do not hold the same ones.

The Hugging Face JSON reader takes the columns of each split from the split itself and stops where they differ; with
the columns written into the card it fills what is missing with null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from curation.example import Example

Shape = Any
"""`"string"`, `"int64"`, `"float64"`, `"bool"`, `"null"`, `{key: Shape}` or `[Shape]`."""


class Unlike(Exception):
    """Two values of one column are of kinds that no column holds both of."""


def feature_lines(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """YAML lines of `dataset_info`; empty where the splits have the same columns.

    Raises Unlike, with the column, where a column holds values of different kinds.
    """
    shapes = [shape_of(example.row for example in rows) for rows in splits.values() if rows]
    if all(shape == shapes[0] for shape in shapes[1:]):
        return []
    return ["dataset_info:", "  config_name: default", "  features:", *_fields(_merged_all(shapes, ""), "  ")]


def shape_of(rows: Iterable[Mapping[str, Any]]) -> Shape:
    """The shape that holds all these rows."""
    return _merged_all((_shape(row, "") for row in rows), "")


def _merged_all(shapes: Iterable[Shape], path: str) -> Shape:
    whole: Shape = "null"
    for shape in shapes:
        whole = _merged(whole, shape, path)
    return whole


def _shape(value: Any, path: str) -> Shape:
    if isinstance(value, Mapping):
        return {key: _shape(part, f"{path}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_merged_all((_shape(part, path) for part in value), path)]
    names = {str: "string", bool: "bool", int: "int64", float: "float64", type(None): "null"}
    return names[type(value)]


def _merged(one: Shape, other: Shape, path: str) -> Shape:
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _merged(one.get(key, "null"), other.get(key, "null"), f"{path}.{key}") for key in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0], path)]
    if isinstance(one, str) and isinstance(other, str) and {one, other} == {"int64", "float64"}:
        return "float64"
    raise Unlike(path.lstrip("."))


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

"""The JSON shape that prompted arms are held to in their second form, where the metric reads JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.example import Example
from evaluation.metrics.json_valid import parse

Shape = Mapping[str, Any]

READS_JSON = ("json_valid", "json_schema", "json_fields")


def json_shape(spec: str, root: Path, known: Sequence[Example]) -> Shape | None:
    """The schema that the metric names; for the other JSON metrics the kind of document that all known answers are, and
    where they are objects their keys. None where the metric reads no JSON. Test answers take no part.
    """
    name, _, file = spec.partition(":")
    if name not in READS_JSON:
        return None
    if name == "json_schema":
        found: Shape | bool = json.loads((root / file).read_text(encoding="utf-8-sig"))
        if isinstance(found, bool):
            return {} if found else {"enum": []}
        return found
    documents = [parse(row.answer) for row in known if row.answer]
    if documents and all(isinstance(document, dict) for document in documents):
        return {"type": "object", "required": sorted(set.intersection(*map(set, documents)))}
    return {"type": "array"} if documents and all(isinstance(d, list) for d in documents) else {}


def is_strict(shape: Shape) -> bool:
    """Whether hosted models take it as it is: every object closed, and all of its keys required."""
    parts = [shape, *_below(shape)]
    objects = [part for part in parts if part.get("type") == "object"]
    return bool(objects) and all(
        part.get("additionalProperties") is False and set(part.get("required", ())) == set(part.get("properties", {}))
        for part in objects
    )


def _below(shape: Shape) -> list[Shape]:
    inner = [*(shape.get("properties") or {}).values(), shape.get("items")]
    parts = [part for part in inner if isinstance(part, Mapping)]
    return [found for part in parts for found in (part, *_below(part))]

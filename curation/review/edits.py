"""An edited row must keep the rules of rows, as an imported one does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from curation.example import Example
from curation.formats.families import read_object
from curation.formats.jsonline import Malformed, decode_object
from workspace.errors import RungError


def with_text(example: Example, text: str) -> str:
    """The row as JSON with another answer (`chosen`, for a preference row; the text, for a text row)."""
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise RungError("The new answer is empty.", "reject the row, or write an answer")
    if "messages" in example.row:
        changed = example.with_answer(text).row
    elif "chosen" in example.row:
        plain = isinstance(example.row["chosen"], str)
        changed = {**example.row, "chosen": text if plain else [{"role": "assistant", "content": text}]}
    else:
        changed = {**example.row, "text": text}
    return whole_row(changed)


def whole_row(row: Mapping[str, Any]) -> str:
    """A whole row, checked, as one line of JSON. Raises RungError with the field and the rule."""
    try:
        strict = decode_object(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return Example(read_object(strict, None)).to_json()
    except Malformed as error:
        raise RungError(f"The edited row: {error.reason}", error.hint, where=error.field) from error


def parse_row(data: bytes, where: str) -> Mapping[str, Any]:
    """A row out of a file's bytes. Raises RungError that names the file."""
    try:
        return decode_object(data.removeprefix(b"\xef\xbb\xbf").strip())
    except Malformed as error:
        raise RungError(f"{where}: {error.reason}", error.hint, where=where) from error

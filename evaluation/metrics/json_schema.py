"""Schema validity: 1 where the output is JSON that a JSON Schema allows. `json_schema:FILE` names the schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaluation.metrics.json_valid import INVALID, parse
from workspace.errors import RungError
from workspace.extras import require


def make(file: str) -> Callable[[str, str], float]:
    """The metric for the schema in `file`. Raises RungError where it cannot be read or is no schema."""
    jsonschema = require("quality", "jsonschema")
    try:
        schema = json.loads(Path(file).read_text(encoding="utf-8-sig"))
        checker = jsonschema.validators.validator_for(schema)
        checker.check_schema(schema)
    except (OSError, ValueError, jsonschema.SchemaError) as error:
        raise RungError(f"{file}: not a JSON Schema ({error}).", where=file) from error
    return lambda output, _: float((found := parse(output)) is not INVALID and _is_valid(checker(schema), found, file))


def _is_valid(checker: Any, found: Any, file: str) -> bool:
    """A document that no number can hold is not valid. Raises RungError for a schema that points at nothing."""
    try:
        return bool(checker.is_valid(found))
    except (OverflowError, RecursionError):
        return False
    except Exception as error:  # of the package that follows references
        raise RungError(f"{file}: {error}. All answers are kept; mend the schema.", where=file) from error

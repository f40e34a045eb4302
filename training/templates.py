"""Text files that are filled in: cards of releases, and files for other trainers."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evaluation.arms.registry import arm_name
from workspace.counted import counted


def templates(folder: Path) -> Environment:
    """Return the templates below a folder: nothing is escaped, and a name that is not known is an error."""
    pages = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {"yaml": yaml, "arm": arm_name, "counted": counted}
    return pages


def yaml(value: Any) -> str:
    """Return a value as JSON, which is YAML too; floats with a point, which readers of YAML 1.1 need."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text

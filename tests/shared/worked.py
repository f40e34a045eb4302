"""The worked cases of tests/cases: what an expert would say."""

import tomllib
from pathlib import Path
from typing import Any

CASES = Path(__file__).resolve().parents[1] / "cases"
FIELD = tomllib.loads((CASES / "field.toml").read_text())["case"]
"""Published projects: scored as a whole."""


def cases() -> list[tuple[str, dict[str, Any]]]:
    """(file and title, case) of every worked case."""
    files = [path for path in sorted(CASES.glob("*.toml")) if path.stem != "field"]
    found = [(path.stem, case) for path in files for case in tomllib.loads(path.read_text())["case"]]
    return [(f"{name}: {case['title']}", case) for name, case in found]

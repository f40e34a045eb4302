"""Every test that docs/security.md and docs/faults.md name exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_names_tests_that_are_there() -> None:
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("security.md", "faults.md"))
    named = set(re.findall(r"`(test_\w+)`", pages))
    there = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(named) > 40 and not named - there

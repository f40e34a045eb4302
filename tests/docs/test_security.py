"""Each promise of docs/security.md, and each line of docs/faults.md, names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
}
PROMISES = re.findall(
    r"^\| ([A-Z].*?\.) \| .* \| ([^|]+) \|$", (ROOT / "docs/security.md").read_text("utf-8"), re.MULTILINE
)


@pytest.mark.parametrize(("promise", "tried"), PROMISES, ids=[promise[:60] for promise, _ in PROMISES])
def test_a_promise_names_the_tests_that_attack_it(promise: str, tried: str) -> None:
    named = re.findall(r"`(test_\w+)`", tried)
    assert len(PROMISES) == 23 and named and not set(named) - TESTS


def test_the_tests_of_faults_are_there() -> None:
    """docs/faults.md names its tests: a list to read by, which promises nothing of its own."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/faults.md").read_text("utf-8")))
    assert named and not named - TESTS

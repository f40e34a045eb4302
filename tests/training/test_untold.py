"""A run on a model of this machine tells nobody of itself, also where the hub is not switched off. Slow."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
def test_training_reaches_for_no_network_where_the_hub_is_on(
    rung: Callable[..., subprocess.CompletedProcess[str]], refused: Callable[[], tuple[dict[str, str], Path]]
) -> None:
    """trl reports each trainer that is made to Hugging Face, unless it is told not to or the hub is off."""
    variables, reached = refused()
    done = rung("train", "--json", RUNG_TRAINING__EPOCHS="0.5", timeout=600, CI="", **variables)
    assert done.returncode == 0, done.stderr
    assert reached.read_text() == ""

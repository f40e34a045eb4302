"""The training door, shut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from training.gate import Gate


def show_locked(gates: Sequence[Gate], as_json: bool) -> NoReturn:
    """All six gates with what opens them, and exit 1."""
    from rung.cli.output import emit, say
    from rung.report.gate_words import locked_lines, passed_of

    if as_json:
        emit({"locked": True, "passed": passed_of(gates), "gates": [gate.model_dump(mode="json") for gate in gates]})
    else:
        for line in locked_lines(gates):
            say(line)
    raise typer.Exit(1)

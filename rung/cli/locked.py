"""The training door, shut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from rung.cli.output import show

if TYPE_CHECKING:
    from training.gates.gate import Gate


def show_locked(gates: Sequence[Gate], as_json: bool) -> NoReturn:
    """Print all six gates with what opens them, and exit 1."""
    from rung.text.training_text import locked_lines, passed_of

    show(
        as_json,
        {"locked": True, "passed": passed_of(gates), "gates": [gate.model_dump(mode="json") for gate in gates]},
        locked_lines(gates),
    )
    raise typer.Exit(1)

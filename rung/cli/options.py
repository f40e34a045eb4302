"""Options that mean the same in every command."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Unmask = Annotated[
    bool, typer.Option("--unmask", help="Show personal data and keys as they are; the log tells that you looked.")
]

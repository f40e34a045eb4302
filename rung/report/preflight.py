"""The page of `rung plan --tokens --html`: rows as the model sees them, and after a dry run what it measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rung import __version__
from rung.report.page import write_html
from training.plan import Plan
from training.preflight import Preflight


def write_preflight_page(path: Path, plan: Plan, rows: dict[str, Any], found: Preflight | None) -> None:
    """Write the page. `rows` is training.run.preflight's table; `found` the dry run's figures, where there was one."""
    from rung.report.plan_words import measured_rows

    values = {
        "version": __version__,
        "plan": plan,
        "rows": rows,
        "findings": found.findings if found else [],
        "measured": list(measured_rows(found)) if found else [],
        "blocked": found.blocked if found else False,
    }
    write_html(path, "preflight.html", values)

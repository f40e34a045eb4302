"""`rung advise --logs FILE`: which workload of a log is worth which step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.rulebook import Rulebook
    from workspace.folder import Project


def advise_on_logs(logs: Sequence[Path], project: Project | None, book: Rulebook, today: date, as_json: bool) -> None:
    """Print the workloads of these logs; nothing is written, and no model is asked."""
    from rung.cli.output import ProgressLine, show
    from rung.text.workload_text import workload_lines
    from training.monitoring.log_import import read_logs
    from training.monitoring.request_joining import join
    from training.monitoring.workloads import workloads

    read = read_logs(logs, keep_rejects=True, progress=ProgressLine("Reading"))
    joined = join(read.parts)
    found = workloads(joined.requests, book, today, project.root / "rules" / "prices.toml" if project else None)
    aside = len(joined.aside) + len(read.rejects)
    document = {
        "lines": read.lines,
        "calls": len(joined.requests),
        "aside": aside,
        "workloads": [each.as_json() for each in found],
        "as_of": today.isoformat(),
    }
    show(as_json, document, workload_lines(found, len(joined.requests), aside))

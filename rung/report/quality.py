"""The page of `rung data check --html`: findings with their rows, and plots of what the rows are like."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from curation.findings import Checkup, Finding
from rung.report.bars import bar_plot, map_plot
from rung.report.page import write_html

SHOWN = 40
"""Pieces of evidence a finding on the page."""
BARS = 24


def write_quality_page(path: Path, checkup: Checkup, progress: dict[str, int] | None = None) -> None:
    """Write the page. `progress` counts rows by review state, where there is a project."""
    write_html(
        path,
        "quality.html",
        {
            "version": version("rung"),
            "checkup": checkup,
            "verdict": _verdict(checkup),
            "plots": list(_plots(checkup, progress)),
            "topics": checkup.measures.get("topics", {}).get("topics", []),
            "shown": SHOWN,
            "symbols": {"blocks": "✗", "look": "!", "handled": "✓"},
            "quiet": [check.title for check in checkup.checks if check.rows == 0],
        },
    )


def _verdict(checkup: Checkup) -> str:
    if not checkup.read:
        return "There is no row: nothing was checked."
    count = len(checkup.blocking)
    if not count:
        return "Nothing blocks the dataset."
    return f"{count} finding{'s' * (count != 1)} block{'s' * (count == 1)} the dataset."


def _plots(checkup: Checkup, progress: dict[str, int] | None) -> list[tuple[str, Markup]]:
    """Titles and plots, those that there is something to draw for."""
    measures = checkup.measures
    spread = measures.get("spread", {})
    found = [
        ("Review", _bars("Rows by state of review", progress or {})),
        ("Words of a question", _bins("Questions by words", spread.get("question_words", []))),
        ("Words of an answer", _bins("Answers by words", spread.get("answer_words", []))),
        ("Classes", _bars("Rows by class", measures.get("balance", {}).get("classes", {}))),
        ("Sources", _bars("Rows by source", spread.get("sources", {}))),
        ("Duplicates by cluster", _bars("Clusters by rows that went", _clusters(checkup.findings))),
        (
            "Map of topics",
            map_plot("Rows by topic; near rows stand near", measures.get("topics", {}).get("points", [])),
        ),
    ]
    return [(title, plot) for title, plot in found if plot]


def _bars(title: str, counts: dict[str, int]) -> Markup:
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    rows = [(str(name), float(count)) for name, count in ordered[:BARS]]
    more = ordered[BARS:]
    rest = f"{len(more)} more, {sum(count for _, count in more):,} rows; the smallest {more[-1][1]:,}" if more else ""
    return bar_plot(title, rows, rest=rest) if rows else Markup("")


def _bins(title: str, bins: list[dict[str, Any]]) -> Markup:
    rows = [(str(b["to"]) if b["from"] == b["to"] else f"{b['from']:,} to {b['to']:,}", float(b["rows"])) for b in bins]
    return bar_plot(title, rows) if rows else Markup("")


def _clusters(findings: tuple[Finding, ...]) -> dict[str, int]:
    """How many clusters lost how many rows, as far as evidence was kept."""
    sizes: Counter[str] = Counter()
    for finding in findings:
        if finding.name in ("duplicates", "left_duplicates"):
            sizes.update(Counter(evidence.places[-1] for evidence in finding.evidence if evidence.places))
    return {f"{size} row{'s' * (size != 1)} went": count for size, count in sorted(Counter(sizes.values()).items())}

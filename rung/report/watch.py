"""The page of `rung watch report --html`: what changed in production, with the requests that show it."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from rung import __version__
from rung.report import watch_words
from rung.report.bars import bar_plot
from rung.report.page import write_html
from training.watch.drift import DriftReport


def write_watch_page(path: Path, report: DriftReport) -> None:
    """Write the page atomically; everything on it is in the file."""
    write_html(
        path,
        "watch.html",
        {
            "version": __version__,
            "report": report,
            "words": watch_words,
            "signals": sorted(report.signals, key=lambda each: (each.raised is not True, each.raised is None)),
            "traffic": list(watch_words.traffic_words(report.traffic)),
            "plot": _plot(report),
        },
    )


def _plot(report: DriftReport) -> Markup:
    """How surprising each signal is: minus the decimal logarithm of p, the level of the alarm named below."""
    from math import log10

    rows = [(signal.title.partition(" (")[0], abs(log10(signal.p))) for signal in report.signals if signal.p]
    level = max((signal.false_alarm for signal in report.signals), default=0.01)
    rest = f"Raised from {-log10(level):.1f} on; a permutation test of 999 rounds ends at 3.0"
    return bar_plot("How surprising each signal is", rows, "{:.1f}", rest) if rows else Markup("")

"""The page of `rung watch report --html`: what changed in production, with the requests that show it."""

from math import log10
from pathlib import Path

from markupsafe import Markup

from rung import __version__
from rung.report.page import write_html
from rung.report.plots import bar_plot
from rung.text import monitoring_text
from training.monitoring.drift import DriftReport


def write_watch_page(path: Path, report: DriftReport) -> None:
    """Write the page atomically; everything on it is in the file."""
    write_html(
        path,
        "watch.html",
        {
            "version": __version__,
            "report": report,
            "words": monitoring_text,
            "signals": sorted(report.signals, key=lambda each: (each.raised is not True, each.raised is None)),
            "traffic": list(monitoring_text.traffic_words(report.traffic)),
            "plot": _plot(report),
        },
    )


def _plot(report: DriftReport) -> Markup:
    """Return a bar for each signal: minus the decimal logarithm of p, with the alarm level named below."""
    rows = [(signal.title.partition(" (")[0], abs(log10(signal.p))) for signal in report.signals if signal.p]
    level = max((signal.false_alarm for signal in report.signals), default=0.01)
    rest = f"An alarm from {-log10(level):.1f} on. 1.0: 1 in 10 by chance; 2.0: 1 in 100; 3.0: 1 in 1,000"
    return bar_plot("How unlikely each change is by chance", rows, "{:.1f}", rest) if rows else Markup("")

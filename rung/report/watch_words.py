"""A drift report in words: the same sentences in the shell, on the page and on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from curation.quality.mask import mask
from rung.report.figures import duration, p_text, percent
from workspace.words import counted

if TYPE_CHECKING:
    from training.watch.drift import DriftReport, Traffic
    from training.watch.signals import Signal

NEXT = "rung watch learn"
SYMBOLS = {True: "✗", False: "✓", None: "-"}


def headline(report: DriftReport) -> str:
    """The sentence that comes first."""
    measured = [signal for signal in report.signals if signal.raised is not None]
    if not measured:
        return "Nothing could be measured yet: there are too few requests."
    if not report.raised:
        return f"Nothing has changed as far as {counted(len(measured), 'signal')} can tell."
    return f"Production has changed: {len(report.raised)} of {counted(len(measured), 'signal')} raised."


def basis(report: DriftReport) -> str:
    """What was measured against what."""
    traffic = report.traffic
    days = f" of {traffic.first_at[:10]} to {traffic.last_at[:10]}" if traffic.first_at else ""
    drawn = f", a sample of {report.sample:.2%}" if report.sample < 1 else ""
    return (
        f"{counted(traffic.requests, 'request')}{days}{drawn}, {traffic.distinct:,} distinct, against {report.against} "
        f"(release {report.release})."
    )


def alarm_words(report: DriftReport) -> str:
    """The stated rate of false alarms."""
    each = max((signal.false_alarm for signal in report.signals), default=0.0)
    return (
        f"By chance a signal is raised in {each:.0%} of looks at most, any of them in {report.any_alarm:.0%} at most."
    )


def figures(signal: Signal) -> str:
    """Before and now in the signal's own unit, with p; or why there is none."""
    if signal.raised is None:
        return f"not measured: {signal.why}"
    if signal.before is None or signal.now is None:
        return f"{signal.unit} {signal.now:.1f}, {p_text(signal.p or 0.0)}"
    of, of_now = ("", "") if signal.what == "request" else (f" of {signal.n_before:,}", f" of {signal.n:,}")
    was, now = _in(signal.unit, signal.before), _in(signal.unit, signal.now)
    return f"{was}{of}, now {now}{of_now}, {p_text(signal.p or 0.0)}"


def pair(signal: Signal) -> tuple[str, str]:
    """Before and now, each by itself; an empty one where the signal has a single figure."""
    was = "" if signal.before is None else _in(signal.unit, signal.before)
    return was, "" if signal.now is None else _in(signal.unit, signal.now)


def sides(signal: Signal) -> str:
    """How many requests against how many of what."""
    return f"{counted(signal.n, signal.what)} against {signal.n_before:,} {signal.against}"


def _in(unit: str, value: float) -> str:
    if unit == "share":
        return percent(value)
    if unit == "seconds":
        return f"{value * 1000:.0f} ms" if value < 1 else duration(value)
    if unit == "usd":
        return f"${value:.6f}"
    return f"{value:.0f} words" if unit == "words" else f"{value:.2f}"


def traffic_words(traffic: Traffic) -> Iterator[tuple[str, str]]:
    """Plain figures: name and value."""
    yield "Failed", f"{traffic.failed:,} of {traffic.requests:,}"
    low = f", {traffic.rated_low:,} of them low ({percent(traffic.rated_low / traffic.rated)})" if traffic.rated else ""
    yield "Rated", f"{traffic.rated:,} of {traffic.requests:,}{low}; {traffic.edited:,} edited"
    if traffic.p50_seconds is not None and traffic.p95_seconds is not None:
        yield (
            "Latency",
            f"{_in('seconds', traffic.p50_seconds)} half of them, {_in('seconds', traffic.p95_seconds)} 95%",
        )
    cost = "unknown (the log does not say of every request)" if traffic.cost_usd is None else f"${traffic.cost_usd:.2f}"
    yield "Cost", cost
    if traffic.input_tokens is not None and traffic.output_tokens is not None:
        yield "Tokens", f"{traffic.input_tokens:,} in, {traffic.output_tokens:,} out"
    yield "Model", ", ".join(f"{name} ({n:,})" for name, n in traffic.models.items())


def lines(report: DriftReport) -> Iterator[str]:
    """The report for the shell."""
    yield headline(report)
    yield basis(report)
    yield alarm_words(report)
    yield ""
    for signal in sorted(report.signals, key=lambda each: (each.raised is not True, each.raised is None)):
        yield f"{SYMBOLS[signal.raised]} {signal.title}: {figures(signal)}"
        if signal.raised:
            yield f"    {sides(signal)}"
            yield from (f"    {one_line(text)}" for text in signal.evidence[:5])
    yield ""
    yield from (f"{name:<9}{value}" for name, value in traffic_words(report.traffic))
    yield from (f"! {note}" for note in report.notes)
    yield f"\nNext: {NEXT}"


def one_line(text: str, most: int = 100) -> str:
    """A row's text on one line, masked."""
    plain = " / ".join(mask(text).split("\n"))
    return plain if len(plain) <= most else plain[: most - 1] + "…"

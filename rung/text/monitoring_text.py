"""Request logs in words: imports, the drift report (in the shell, on the page and on the screen), workloads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from curation.mask import mask
from curation.rows.row import Reject
from rung.status.following import DRIFT, LEARN, WHY, after, after_learning, after_logs
from training.monitoring.drift import DriftReport, Traffic
from training.monitoring.learn import Learnt
from training.monitoring.requests import Import
from training.monitoring.signals import Signal
from training.monitoring.workloads import LoggedWorkload
from workspace.counted import counted, duration, money, p_text, percent

SYMBOLS = {True: "✗", False: "✓", None: "-"}


def headline(report: DriftReport) -> str:
    """Return the sentence that comes first."""
    measured = [signal for signal in report.signals if signal.raised is not None]
    if not measured:
        return "Nothing could be measured yet: there are too few requests."
    if not report.raised:
        return f"No change was detected by {counted(len(measured), 'signal')}."
    return f"Production has changed: {len(report.raised)} of {counted(len(measured), 'signal')} raised an alarm."


def basis(report: DriftReport) -> str:
    """Say what was compared with what."""
    traffic = report.traffic
    days = f" of {traffic.first_at[:10]} to {traffic.last_at[:10]}" if traffic.first_at else ""
    return (
        f"{counted(traffic.requests, 'request')}{days}, {traffic.distinct:,} distinct, against {report.against} "
        f"(release {report.release})."
    )


def alarm_words(report: DriftReport) -> str:
    """Return the stated rate of false alarms."""
    each = max((signal.false_alarm for signal in report.signals), default=0.0)
    return f"False alarms: at most {each:.0%} of reports for one signal, at most {report.any_alarm:.0%} for any signal."


def by_alarm(report: DriftReport) -> list[Signal]:
    """Return the signals: alarms first, those without a figure last."""
    return sorted(report.signals, key=lambda each: (each.raised is not True, each.raised is None))


def figures(signal: Signal) -> str:
    """Return before and now in the signal's own unit, with p; or why there is none."""
    if signal.raised is None:
        return f"not measured: {signal.why}"
    if signal.before is None or signal.now is None:
        return f"{signal.unit} {signal.now:.1f}, {p_text(signal.p or 0.0)}"
    of, of_now = ("", "") if signal.what == "request" else (f" of {signal.n_before:,}", f" of {signal.n:,}")
    was, now = _in(signal.unit, signal.before), _in(signal.unit, signal.now)
    return f"{was}{of}, now {now}{of_now}, {p_text(signal.p or 0.0)}"


def sides(signal: Signal) -> str:
    """Return the number of requests on each side, in words."""
    return f"{counted(signal.n, signal.what)} against {signal.n_before:,} {signal.against}"


def _in(unit: str, value: float) -> str:
    if unit == "share":
        return percent(value)
    if unit == "seconds":
        return f"{value * 1000:.0f} ms" if value < 1 else duration(value)
    if unit == "usd":
        return money(value, 6)
    return f"{value:.0f} words" if unit == "words" else f"{value:.2f}"


def traffic_words(traffic: Traffic) -> Iterator[tuple[str, str]]:
    """Plain figures: name and value."""
    yield "Failed", f"{traffic.failed:,} of {traffic.requests:,}"
    low = f", {traffic.rated_low:,} of them low ({percent(traffic.rated_low / traffic.rated)})" if traffic.rated else ""
    yield "Rated", f"{traffic.rated:,} of {traffic.requests:,}{low}; {traffic.edited:,} edited"
    if traffic.p50_seconds is not None and traffic.p95_seconds is not None:
        yield (
            "Latency",
            f"{_in('seconds', traffic.p50_seconds)} (median), {_in('seconds', traffic.p95_seconds)} (95th percentile)",
        )
    cost = "unknown (not logged for every request)" if traffic.cost_usd is None else money(traffic.cost_usd)
    yield "Cost", cost
    if traffic.input_tokens is not None and traffic.output_tokens is not None:
        yield "Tokens", f"{traffic.input_tokens:,} in, {traffic.output_tokens:,} out"
    yield "Model", ", ".join(f"{name} ({n:,})" for name, n in traffic.models.items())


def lines(report: DriftReport) -> Iterator[str]:
    """Yield the report for the shell."""
    yield headline(report)
    yield basis(report)
    yield alarm_words(report)
    yield ""
    for signal in by_alarm(report):
        yield f"{SYMBOLS[signal.raised]} {signal.title}: {figures(signal)}"
        if signal.raised:
            yield f"    {sides(signal)}"
            yield from (f"    {one_line(text)}" for text in signal.evidence[:5])
    yield ""
    yield from (f"{name:<9}{value}" for name, value in traffic_words(report.traffic))
    yield from (f"! {note}" for note in report.notes)
    yield f"\nNext: {LEARN}"


def one_line(text: str, most: int = 100) -> str:
    """Return a row's text on one line, masked."""
    plain = " / ".join(mask(text).split("\n"))
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def imported_lines(made: Import | None, rejects: Sequence[Reject], place: Path | None) -> Iterator[str]:
    """Yield what was done with each line of the logs."""
    if made is None:
        yield "Nothing new: these files are empty or were imported before."
        yield f"\nNext: {DRIFT}"
        return
    known = f", {made.known:,} imported before" if made.known else ""
    belongs = f"they belong to release {made.release}" if made.release else "nothing is released yet"
    yield f"{made.id}: {counted(made.requests, 'request')}, {made.kept:,} kept{known}; {belongs}"
    yield (
        f"  {counted(made.lines, 'line')}: {counted(made.requests, 'request')}, {made.joined:,} joined to another, "
        f"{made.feedback:,} later feedback, {made.aside:,} set aside, {made.rejected:,} rejected, {made.empty:,} empty"
    )
    if made.masked:
        yield "  masked: " + ", ".join(f"{count:,} [{kind}]" for kind, count in made.masked.items())
    yield from _judged(made)
    if made.said_again:
        were = "was" if made.said_again == 1 else "were"
        yield f"  {made.said_again:,} of the known requests {were} rated, edited or commented on since"
    yield from _strange(made, rejects, place)
    yield f"\nNext: {after_logs(released=bool(made.release))}"


def _judged(made: Import) -> Iterator[str]:
    if made.rated or made.edited or made.failed:
        yield f"  {made.rated:,} rated, {made.edited:,} edited, {made.failed:,} failed"
    if made.scale:
        yield f"  ratings read as {made.scale[0]:g} (worst) to {made.scale[1]:g} (best)"
    if made.scores_unread:
        yield f"  scores not given by a person, not counted as ratings: {_listed(made.scores_unread)}"
    if made.ratings_unclear:
        yield f"! ratings that cannot be read: {_listed(made.ratings_unclear)}"


def _listed(table: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in table.items())


def _strange(made: Import, rejects: Sequence[Reject], place: Path | None) -> Iterator[str]:
    for why, count in made.why_aside.items():
        yield f"! {counted(count, 'line')} set aside: {why}"
    if rejects:
        head = rejects[0]
        yield (
            f"! {len(rejects):,} of {counted(made.lines, 'line')} could not be read; see {place}, with reasons. "
            f"First: line {head.line}, {head.reason}"
        )
    if made.out_of_order:
        are = "is" if made.out_of_order == 1 else "are"
        yield f"! {counted(made.out_of_order, 'request')} {are} out of order in the log; they were sorted by time."
    if made.without_time:
        has = "has" if made.without_time == 1 else "have"
        yield (f"! {counted(made.without_time, 'request')} {has} no readable time; each follows the line before it.")


def learnt_lines(done: Learnt) -> Iterator[str]:
    """Yield what was done with the requests."""
    queued, out = len(done.queued), done.rejected.total()
    yield f"{counted(done.looked_at, 'request')}: {queued:,} queued for review, {out:,} kept out"
    if done.why:
        yield "  queued: " + ", ".join(f"{count:,} {why}" for why, count in done.why.most_common())
    if done.rejected:
        yield "  kept out: " + ", ".join(f"{count:,} {why}" for why, count in done.rejected.most_common())
        yield "  each with its reason in watch/not_learnt.jsonl"
    if done.known:
        yield f"  {done.known:,} {'was' if done.known == 1 else 'were'} handled before"
    if done.left:
        yield f"  {done.left:,} more {'waits' if done.left == 1 else 'wait'}: run the command again, or use --count"
    yield f"\nNext: {after_learning(queued=bool(queued))}"


ADVICE = {
    "keep": "Keep",
    "cache": "Cache",
    "cheaper_model": "Cheaper model",
    "better_prompt": "Better prompt",
    "tune": "Candidate for tuning",
}
SHOWN = 10
"""Workloads that are shown in words; `--json` has all."""


def workload_lines(found: Sequence[LoggedWorkload], calls: int, aside: int) -> Iterator[str]:
    """Yield the log in one line, then three or four lines a workload."""
    yield f"{counted(calls, 'call')} in {counted(len(found), 'workload')}" + (
        f", {aside} lines set aside" if aside else ""
    )
    for number, each in enumerate(found[:SHOWN], 1):
        facts = each.facts
        yield ""
        yield f"{number} {ADVICE[each.advice]}: {each.name}"
        yield f"    {each.rules[0].effect['text']}  [{each.rules[0].id}]"
        yield f"    {', '.join(_workload_figures(each))}"
        yield f"    {facts.repeats:.0%} repeated, {facts.failing:.0%} failed, cut, edited or rated low"
    if len(found) > SHOWN:
        yield ""
        rest = counted(sum(each.facts.calls for each in found[SHOWN:]), "call")
        yield f"{counted(len(found) - SHOWN, 'smaller workload')} with {rest}: --json"
    if unknown := list(dict.fromkeys(each.unknown for each in found if each.unknown)):
        yield ""
        yield from (f"Cost unknown: {each}" for each in unknown)
    if found:
        yield ""
        yield f"Next: {after(WHY, rule=found[0].rules[0].id)}"


def _workload_figures(each: LoggedWorkload) -> Iterator[str]:
    facts, about = each.facts, "about " if each.tokens_estimated else ""
    yield counted(facts.calls, "call") + (f" ({facts.calls_per_day:,.0f} a day)" if facts.calls_per_day else "")
    yield f"{about}{each.input_tokens:,.0f} tokens in and {each.output_tokens:,.0f} out"
    if each.usd is not None:
        yield money(each.usd) + ("" if facts.usd_per_month is None else f" ({money(facts.usd_per_month)} a month)")
    yield "models: " + ", ".join(each.models)

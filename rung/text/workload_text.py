"""`rung advise --logs` in words: the workloads of a log, each with its figures and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.monitoring.workloads import LoggedWorkload
from workspace.counted import counted

WORDS = {
    "keep": "Keep",
    "cache": "Cache",
    "cheaper_model": "Cheaper model",
    "better_prompt": "Better prompt",
    "tune": "Candidate for tuning",
}
SHOWN = 10
"""Workloads that are shown in words; `--json` has all."""


def workload_lines(found: Sequence[LoggedWorkload], calls: int, aside: int) -> Iterator[str]:
    """The log in one line, then three or four lines a workload."""
    yield f"{counted(calls, 'call')} in {counted(len(found), 'workload')}" + (
        f", {aside} lines set aside" if aside else ""
    )
    for number, each in enumerate(found[:SHOWN], 1):
        facts = each.facts
        yield ""
        yield f"{number} {WORDS[each.advice]}: {each.name}"
        yield f"    {each.rules[0].effect['text']}  [{each.rules[0].id}]"
        yield f"    {', '.join(_figures(each))}"
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
        yield f"Next: rung why {found[0].rules[0].id}"


def _figures(each: LoggedWorkload) -> Iterator[str]:
    facts, about = each.facts, "about " if each.tokens_estimated else ""
    yield counted(facts.calls, "call") + (f" ({facts.calls_per_day:,.0f} a day)" if facts.calls_per_day else "")
    yield f"{about}{each.input_tokens:,.0f} tokens in and {each.output_tokens:,.0f} out"
    if each.usd is not None:
        yield f"${each.usd:,.2f}" + (
            f" (${facts.usd_per_month:,.2f} a month)" if facts.usd_per_month is not None else ""
        )
    yield "models: " + ", ".join(each.models)

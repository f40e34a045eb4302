"""The lines of the Advice screen, in the order of `rung advise`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from advisor.decision import Decision, Reason
from advisor.rulebook import Rulebook
from rung.report.advice_words import OPTION, certainty, headline, likely_end, literal, outcome
from rung.tui.text import shown
from rung.tui.widgets.marked import Entry

MOST = 4
"""Reasons for, options against."""


@dataclass(frozen=True, slots=True)
class Page:
    """A decision in so many columns; `scores` (0..1) of what was measured, by option."""

    decision: Decision
    book: Rulebook
    width: int
    scores: Mapping[str, float | None]

    def entries(self) -> Iterator[Entry]:
        """Next step and likely end, why, why not, what would change it, what is not settled."""
        decision = self.decision
        yield Entry()
        if settled := self.settled():
            yield Entry(settled, style="bold")
        yield Entry(f"Next step   {OPTION[decision.next_step]}: {headline(decision)}", style="bold")
        yield Entry(f"Likely end  {likely_end(decision)}", style="bold")
        yield Entry(f"Strength    {decision.strength:<11} Certainty  {certainty(decision)}")
        yield Entry()
        yield Entry("Why", "", "bold")
        yield from (Entry(self._two(self._short(r), r.rule), f"for:{r.rule}") for r in decision.reasons[:MOST])
        yield Entry("Why not", "", "bold")
        yield from (Entry(*self._refused(*each)) for each in list(decision.why_not.items())[:MOST])
        changes = self._changes()
        if changes:
            yield Entry("What would change it", "", "bold")
            yield from changes
        if decision.open_questions:
            yield self._open()

    def settled(self) -> str:
        """Where a cheaper step was measured and reaches the goal: that the climb ends here."""
        score = self.scores.get(self.decision.next_step)
        if self.decision.action.name != "keep" or score is None:
            return ""
        return f"Settled by measurement: {OPTION[self.decision.next_step]} reaches the goal ({score:.1%}). Stop here."

    def _open(self) -> Entry:
        """The question worth most, in its own words; Enter asks it."""
        first, *more = self.decision.open_questions
        text = self.book.questions[first].text if first in self.book.questions else first
        others = f" (and {len(more)} more)" if more else ""
        return Entry(f"Not settled: {text}{others}", f"ask:{first}")

    def _refused(self, option: str, reasons: tuple[Reason, ...]) -> tuple[str, str]:
        first = next((reason for reason in reasons if reason.says == "against"), reasons[0] if reasons else None)
        if first is None:
            return f" {OPTION[option]:<18} not needed", ""
        return self._two(f"{OPTION[option]:<18} {self._short(first)}", first.rule), f"not {option}:{first.rule}"

    def _changes(self) -> list[Entry]:
        """Up to three single answers that change the advice, each of another question."""
        seen: dict[str, Entry] = {}
        for change in self.decision.would_change:
            name = change["question"]
            if name not in seen:
                said = f"{name} = {literal(change['to'])}"
                end = outcome(change["next_step"], change["destination"], self.decision)
                fits = len(said) + len(end) + 4 <= self.width
                words = self._two(said, end) if fits else f" {said}   {end}"
                seen[name] = Entry(words, f"change:{name}={literal(change['to'])}")
        return list(seen.values())[:3]

    def _short(self, reason: Reason) -> str:
        text = shown(reason.short or reason.text.rstrip("."))
        return text[:1].upper() + text[1:] + (f" (expired {self._day(reason)})" if reason.expired else "")

    def _day(self, reason: Reason) -> str:
        """The day until which the first of its sources to end was good."""
        sources = (self.book.sources.get(name.partition(":")[0]) for name in reason.source)
        return min(source.review_by for source in sources if source).isoformat()

    def _two(self, left: str, right: str) -> str:
        """Two columns; where both do not fit, the rule's name goes (`w` shows it), never the sentence."""
        room = self.width - len(right) - 2
        return f" {left:<{room}} {right}" if 0 < len(left) <= room else f" {left}"

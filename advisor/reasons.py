"""Reasons for and against each option, their strength and their evidence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal

from advisor.conditions import OPTIONS
from advisor.decision import Reason
from advisor.ladder import PARTS, RANK, LadderVerdict
from advisor.rulebook import Rule, Rulebook

CHEAPEST = "cheapest-first"
"""The rule of the ladder itself; rules/notes.toml has it."""
CERTAINTY = {"measured": 2, "paper": 2, "vendor": 1, "practice": 1, "judgement": 0}


class Explainer:
    """Turns rules into reasons, with expired sources marked as of a date."""

    def __init__(self, book: Rulebook, as_of: date) -> None:
        self.book = book
        self.as_of = as_of

    def reason(self, rule: Rule, says: Literal["for", "against"] = "for") -> Reason:
        """Return a rule as a reason."""
        return Reason(
            rule=rule.id,
            text=rule.text(),
            source=rule.source,
            short=rule.short,
            says=says,
            evidence=rule.evidence,
            team=rule.team,
            expired=bool(self.expired(rule)),
        )

    def expired(self, rule: Rule) -> list[str]:
        """Return the rule's sources that are past their review date."""
        sources = (self.book.sources.get(name.partition(":")[0]) for name in rule.source)
        return [source.id for source in sources if source and source.review_by < self.as_of]

    def cheapest(self, says: Literal["for", "against"] = "for") -> list[Reason]:
        """Return the ladder's own rule, as a reason."""
        rule = self.book.by_id.get(CHEAPEST)
        return [self.reason(rule, says)] if rule else []

    def reasons(self, verdict: LadderVerdict) -> tuple[Reason, ...]:
        """Return the reasons: what was tried, needed, ruled out and why, and what delays the destination."""
        rules = self._alone(verdict)
        rules += [rule for rule in verdict.status_rules if rule.effect["rung"] in (*verdict.path, verdict.next_step)]
        rules += [need for need in verdict.needs if need not in verdict.unmet]
        rules += [relief for _, relief in verdict.relieved]
        rules += list(verdict.waits.get(verdict.destination, ())) if verdict.next_step != verdict.destination else []
        rules += verdict.skips
        found = [self.reason(rule) for rule in dict.fromkeys(rules)]
        if verdict.next_step != verdict.destination or not found:
            found += self.cheapest()
        return tuple(found)

    def _alone(self, verdict: LadderVerdict) -> list[Rule]:
        """Return the vetoes that leave nothing but the next step: they are why, not only why not."""
        others = [verdict.vetoes.get(option, ()) for option in OPTIONS if option != verdict.next_step]
        return [veto for veto in others[0] if all(veto in vetoes for vetoes in others)]

    def why_not(self, verdict: LadderVerdict) -> dict[str, tuple[Reason, ...]]:
        """Return, for each option but the next step, its best argument and what removed it."""
        return {o: tuple(self._against(o, verdict)) for o in OPTIONS if o != verdict.next_step}

    def _against(self, option: str, verdict: LadderVerdict) -> list[Reason]:
        rung = "fine_tune" if option == "rag_and_fine_tune" else option
        speaking = [need for need in verdict.needs if need.effect["cells"][rung] == "best"]
        found = [self.reason(need) for need in speaking[:1]]
        removed = [*verdict.vetoes.get(option, ()), *verdict.waits.get(option, ())]
        higher = OPTIONS.index(option) > OPTIONS.index(verdict.next_step)
        removed += [need for need in verdict.needs if not self._reaches(option, need)]
        removed += self._fell_short(option, verdict)
        found += [self.reason(rule, "against") for rule in dict.fromkeys(removed)]
        if not removed or (higher and not verdict.vetoes.get(option)):
            found += self.cheapest("against")
        return found

    def _fell_short(self, option: str, verdict: LadderVerdict) -> list[Rule]:
        short = ("insufficient", "partial", "costly", "begun")
        return [r for r in verdict.status_rules if r.effect["rung"] == option and r.effect["is"] in short]

    def _reaches(self, option: str, need: Rule) -> bool:
        return max(RANK[need.effect["cells"][part]] for part in PARTS[option]) > RANK["unlikely"]

    def strength(self, verdict: LadderVerdict) -> Literal["strong", "conditional"]:
        """Conditional where a rule that decides is; apart from how certain the answers make it."""
        return "conditional" if any(r.strength == "conditional" for r in self.deciding(verdict)) else "strong"

    def evidence(self, verdict: LadderVerdict) -> Literal["high", "moderate", "low"]:
        """Return the weakest kind of evidence among the rules that decide; an expired source takes one level off."""
        levels = [CERTAINTY[r.evidence] - bool(self.expired(r)) for r in self.deciding(verdict)]
        names: tuple[Literal["low", "moderate", "high"], ...] = ("low", "moderate", "high")
        return names[max(0, min(levels, default=1))]

    def deciding(self, verdict: LadderVerdict) -> list[Rule]:
        """Return the needs that hold and the vetoes for ever that removed an option which would meet them."""
        vetoes: Iterable[Rule] = (v for rules in verdict.vetoes.values() for v in rules) if verdict.unmet else ()
        return list(dict.fromkeys([*verdict.needs, *vetoes]))

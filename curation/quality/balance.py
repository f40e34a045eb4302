"""How the classes are filled, against the size table."""

from __future__ import annotations

from collections import Counter

from curation.quality.base import Check, Evidence, Finding, Subject, Survey
from curation.quality.labels import LONGEST, labels_of
from curation.quality.rules import class_sizes, limit
from workspace.words import counted

COUNTED = 5_000
"""Different short answers that are counted; where there are more, they are no labels."""


class Balance(Check):
    """Classes with fewer rows than the size table asks for, and classes that outweigh the others."""

    name = "balance"
    title = "Thin classes"
    reason = "A class with few rows is neither learnt nor measured."

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def see(self, subject: Subject) -> None:
        """Count the answer, if it may be a label."""
        answer = (subject.example.answer or "").strip()
        if answer in self.counts or (len(self.counts) < COUNTED and len(answer.split()) <= LONGEST):
            self.counts[answer] += 1

    def end(self, survey: Survey) -> Finding | None:
        """The thin classes with their counts; shown, never in the way of a freeze."""
        if labels_of(survey.sample, survey.options.label_limit) is None:
            return None
        counts = dict(self.counts.most_common())
        minimum, recommended, table = class_sizes()
        least = survey.options.smallest_class or minimum
        most, fewest = max(counts.values()), min(counts.values())
        thin = {label: count for label, count in reversed(counts.items()) if count < least}
        sizes = {"classes": len(counts), "largest": most, "smallest": fewest, "least": least}
        self.measures = {**sizes, "recommended": recommended, "size_table": table, "classes": counts}
        if not thin and most < limit("imbalance") * fewest:
            return None
        asks = f"{least} that you set" if survey.options.smallest_class else f"{least} that {table} asks for"
        reason = f"{len(thin)} of {len(counts)} classes have fewer rows than the {asks} ({recommended} are recommended)"
        if not thin:
            reason = f"The largest class has {most:,} rows, {most / fewest:.0f} times as many as the smallest"
        name = next(reversed(counts))
        reason += f"; the smallest, {name!r}, has {fewest:,}."
        shown = thin or {name: fewest}
        evidence = [
            Evidence(key=label[:8], places=(), note=f"{label}: {counted(n, 'row')}") for label, n in shown.items()
        ]
        return self.finding(evidence, rows=sum(shown.values()), detail=sizes, reason=reason)

"""How the classes are filled."""

from __future__ import annotations

from collections import Counter

from curation.quality.base import Check, Evidence, Finding, Survey
from curation.quality.labels import labels_of
from curation.quality.rules import limit


class Balance(Check):
    """Classes with fewer rows than the size table asks for, and classes that outweigh the others."""

    name = "balance"
    title = "Thin classes"
    reason = "A class with few rows is neither learnt nor measured."

    def end(self, survey: Survey) -> Finding | None:
        """The thin classes with their counts; shown, never in the way of a freeze."""
        labels = labels_of(survey.sample, survey.options.label_limit)
        if labels is None:
            return None
        scale = survey.rows / len(labels)
        counts = {label: round(count * scale) for label, count in Counter(labels).most_common()}
        self.measures = {"classes": counts}
        least = survey.options.smallest_class or int(limit("rare_class"))
        thin = {label: count for label, count in counts.items() if count < least}
        most, fewest = max(counts.values()), max(1, min(counts.values()))
        if not thin and most < limit("imbalance") * fewest:
            return None
        reason = f"{len(thin)} of {len(counts)} classes have fewer than {least} rows."
        if not thin:
            reason = f"The largest class has {most:,} rows, the smallest {fewest:,}."
        shown = thin or dict(list(counts.items())[-1:])
        evidence = [
            Evidence(key=label[:8], places=(), note=f"{label}: {count:,} rows") for label, count in shown.items()
        ]
        detail = {"classes": len(counts), "largest": most, "smallest": fewest, "least": least}
        return self.finding(evidence, rows=sum(shown.values()), detail=detail, reason=reason)

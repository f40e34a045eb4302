"""Personal data, by form and check digits."""

from __future__ import annotations

from collections import Counter

from curation.quality.base import Finding, RowCheck, Subject, Survey, all_texts
from curation.quality.mask import find_personal


class Personal(RowCheck):
    """E-mail, phone, card (Luhn), IBAN (check digits), IP addresses and US social security numbers."""

    name = "pii"
    title = "Phones, e-mails"
    reason = "Personal data in rows can be read back from a tuned model."
    action = "queue"
    unseen = "names of persons are looked for with --names only"

    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()

    def fault(self, subject: Subject) -> str | None:
        """Which kinds, and how many of each."""
        found = Counter(spot.kind for text in all_texts(subject.example) for spot in find_personal(text))
        self.kinds.update(found.keys())
        return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) if found else None

    def end(self, survey: Survey) -> Finding | None:
        """With the number of rows by kind."""
        found = super().end(survey)
        return found and found.model_copy(update={"detail": {"rows_by_kind": dict(sorted(self.kinds.items()))}})

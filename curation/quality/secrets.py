"""Keys and passwords."""

from __future__ import annotations

from curation.quality.base import RowCheck, Subject, all_texts
from curation.quality.mask import find_secrets


class Secrets(RowCheck):
    """Keys of known forms; no entropy rule, because codes and hashes are ordinary data."""

    name = "secrets"
    title = "Keys and passwords"
    severity = "blocks"
    reason = "A key in a row is out as soon as the model is: take the row out, and change the key."
    action = "exclude"

    def fault(self, subject: Subject) -> str | None:
        """Which kinds of keys."""
        names = {spot.name for text in all_texts(subject.example) for spot in find_secrets(text)}
        return ", ".join(sorted(names)) if names else None

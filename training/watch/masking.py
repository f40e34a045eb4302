"""Personal data and secrets out of everything that is kept of a request, before anything is kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from curation.quality.mask import mask
from workspace.files import sha256_bytes

KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "ID", "KEY")
MASKED = re.compile(r"\[(" + "|".join(KINDS) + r")\]")
"""What stands where something was taken out."""


class Masker:
    """Masks texts and counts by kind what it took out."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """The text with what was found replaced by its kind: `[PHONE]`."""
        masked = mask(text)
        if masked != text:
            self.counts += Counter(MASKED.findall(masked)) - Counter(MASKED.findall(text))
        return masked

    def inside(self, value: Any) -> Any:
        """A JSON value with every text in it masked, texts of JSON and keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.inside(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.inside(part) for part in value]
        return value

    def name(self, name: str) -> str:
        """An id as it is; one that holds personal data as a hash, so that lines can still be joined by it."""
        return name if mask(name) == name else f"sha256:{sha256_bytes(name.encode())[:16]}"

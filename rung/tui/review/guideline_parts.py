"""The parts of a guideline, and the one that concerns an item."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

from curation.likeness.words import words

HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GuidelineSection:
    """A heading and the text under it, up to the next heading; before the first one the heading is empty."""

    heading: str
    body: str


def sections(text: str) -> list[GuidelineSection]:
    """All parts that have a text; a heading without one is left out."""
    found, heading, at = [], "", 0
    for match in HEADING.finditer(text):
        found.append(GuidelineSection(heading, text[at : match.start()].strip()))
        heading, at = match[1], match.end()
    found.append(GuidelineSection(heading, text[at:].strip()))
    return [section for section in found if section.body]


def section_for(text: str, item: str) -> GuidelineSection:
    """The part that shares the most and the rarest words with an item; the first one where none shares any."""
    parts = sections(text) or [GuidelineSection("", text.strip())]
    sets = [frozenset(words(f"{part.heading} {part.body}")) for part in parts]
    common = Counter(word for each in sets for word in each)
    mine = frozenset(words(item))

    def weight(number: int) -> float:
        return sum(math.log(len(parts) / common[word]) for word in mine & sets[number])

    return parts[max(range(len(parts)), key=lambda number: (weight(number), -number))]

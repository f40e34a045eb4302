"""Rows in another language than the rest."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from curation.quality.base import Check, Finding, Pile, Survey, evidence_of
from curation.quality.rules import limit, quality_rules

FEWEST_ROWS = 20
MIXED = 0.12
"""Share of the majority's commonest words from which a row counts as being in that language too."""
FEWEST_WORDS = 8


class Language(Check):
    """By script, and by the commonest short words of ten languages; short texts are not judged."""

    name = "language"
    title = "Another language"
    reason = "Rows in another language than four in five of the others."
    action = "queue"

    def end(self, survey: Survey) -> Finding | None:
        """Rows whose question or answer is not in the language of the majority, where there is one.

        Questions and answers are judged apart: in a set of translations they differ as they should.
        """
        notes: dict[int, str] = {}
        for part in ("question", "answer"):
            self._judge(part, [str(getattr(s.example, part) or "") for s in survey.sample], notes)
        pile = Pile()
        for index in sorted(notes):
            pile.add(evidence_of(notes[index], survey.sample[index]))
        return self.finding(pile.evidence, rows=pile.count, ids=pile.ids) if pile.count else None

    def _judge(self, part: str, texts: Sequence[str], notes: dict[int, str]) -> None:
        """Note the texts in another language than four in five."""
        known = {i: language for i, text in enumerate(texts) if (language := language_of(text))}
        if len(known) < FEWEST_ROWS:
            return
        counts = Counter(known.values())
        self.measures[part] = dict(counts.most_common())
        common, count = counts.most_common(1)[0]
        if count < limit("majority_language") * len(known):
            return
        for index, language in known.items():
            if language != common and shares(texts[index]).get(common, 0.0) < MIXED:
                notes.setdefault(index, f"{part}: {language}, {count / len(known):.0%} are {common}")


def language_of(text: str) -> str:
    """A script (`Cyrillic`) or a language of the Latin script (`en`); empty where it cannot be told."""
    letters = [sign for sign in text[:600] if sign.isalpha()]
    if len(letters) < 8:
        return ""
    scripts = Counter(unicodedata.name(sign, "OTHER").split()[0] for sign in letters)
    script, count = scripts.most_common(1)[0]
    if script != "LATIN":
        return {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}.get(script, script.capitalize())
    if count < 0.6 * len(letters):
        return ""
    (best, score), (_, second) = sorted(shares(text).items(), key=lambda pair: -pair[1])[:2]
    seen = _words().get(best, frozenset()) & set(re.findall(r"[^\W\d_]+", text[:2000].lower()))
    return best if score >= 0.25 and score >= 1.5 * second and len(seen) >= 3 else ""


def shares(text: str) -> dict[str, float]:
    """For each known language the share of its commonest words among the words of a text, 0..1."""
    words = re.findall(r"[^\W\d_]+", text[:2000].lower())
    if len(words) < FEWEST_WORDS:
        return dict.fromkeys(_words(), 0.0)
    return {name: sum(word in common for word in words) / len(words) for name, common in _words().items()}


@functools.cache
def _words() -> Mapping[str, frozenset[str]]:
    table = quality_rules()["language"]
    return {name: frozenset(words.split()) for name, words in table.items() if len(name) == 2}

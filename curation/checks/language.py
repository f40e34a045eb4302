"""Rows in another language than the rest."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from curation.checks.base import DataFinding, Pile, QualityCheck, Survey, evidence_of
from curation.checks.rules import limit, quality_rules

FEWEST_ROWS = 20
MIXED = 0.12
"""Share of the majority's commonest words from which a row counts as being in that language too."""
FEWEST_WORDS = 8
FEWEST_LETTERS = 8
LOOKED_AT = 600
"""Characters of a text whose script is read."""


class Language(QualityCheck):
    """Language, by script and by the commonest short words of ten languages; short texts are not judged."""

    name = "language"
    title = "Another language"
    reason = "Rows in another language than four in five of the others."
    action = "queue"

    def end(self, survey: Survey) -> DataFinding | None:
        """Return rows whose question or answer is not in the language of the majority, where there is one.

        Questions and answers are judged apart: in a set of translations they differ as they should.
        """
        notes: dict[int, str] = {}
        for part in ("question", "answer"):
            self._judge(part, [str(getattr(s.example, part) or "") for s in survey.sample], notes)
        pile = Pile()
        for index in sorted(notes):
            pile.add(evidence_of(notes[index], survey.sample[index]))
        return self.piled(pile)

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
    """Return a script (`Cyrillic`) or a language of the Latin script (`en`); empty if it is unknown."""
    letters = Counter(sign for sign in text[:LOOKED_AT] if sign.isalpha())
    if (count := letters.total()) < FEWEST_LETTERS:
        return ""
    scripts: Counter[str] = Counter()
    for sign, times in letters.items():
        scripts[_script(sign)] += times
    script, most = scripts.most_common(1)[0]
    if script != "LATIN":
        return {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}.get(script, script.capitalize())
    if most < 0.6 * count:
        return ""
    words = _words_of(text)
    (best, score), (_, second) = sorted(_shares(words).items(), key=lambda pair: -pair[1])[:2]
    seen = {word for word in words if best in _languages().get(word, ())}
    return best if score >= 0.25 and score >= 1.5 * second and len(seen) >= 3 else ""


def shares(text: str) -> dict[str, float]:
    """Return for each known language the share of its commonest words among a text's words, 0..1."""
    return _shares(_words_of(text))


def _shares(words: Sequence[str]) -> dict[str, float]:
    found = dict.fromkeys(_names(), 0)
    if len(words) < FEWEST_WORDS:
        return {name: 0.0 for name in found}
    common = _languages()
    for word in words:
        for name in common.get(word, ()):
            found[name] += 1
    return {name: count / len(words) for name, count in found.items()}


def _words_of(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text[:2000].lower())


@functools.cache
def _script(sign: str) -> str:
    """Return the first word of a character's name: `LATIN`, `CYRILLIC`, `CJK`."""
    return unicodedata.name(sign, "OTHER").split()[0]


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(name for name in quality_rules()["language"] if len(name) == 2)


@functools.cache
def _languages() -> Mapping[str, tuple[str, ...]]:
    """Return the languages of which a word is one of the commonest."""
    table = quality_rules()["language"]
    found: dict[str, tuple[str, ...]] = {}
    for name in _names():
        for word in dict.fromkeys(table[name].split()):
            found[word] = (*found.get(word, ()), name)
    return found

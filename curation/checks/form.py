"""Rows that differ from nine in ten of the others in form, or from four in five in language: learnt, not prescribed."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from curation.checks.base import DataFinding, FindingEvidence, Pile, QualityCheck, Subject, Survey, evidence_of
from curation.checks.rules import limit, quality_rules

FEWEST = 30
"""Rows from which a form can be learnt."""


class OddForm(QualityCheck):
    """Structure (JSON, code, list, a code's pattern), and length far off, where nine in ten answers agree."""

    name = "form"
    title = "Odd one out"
    reason = "Nine in ten answers have the same form; a model learns the exceptions too."
    action = "queue"

    def end(self, survey: Survey) -> DataFinding | None:
        """Return rows off the dominant structure, pattern or length, each once."""
        answered = [s for s in survey.sample if s.example.answer]
        if len(answered) < FEWEST:
            return None
        odd: dict[str, FindingEvidence] = {}
        for what, form_of in FORMS:
            _off_dominant(answered, what, form_of, odd)
        _far_too_long(answered, odd)
        self.measures = {"structure": dict(Counter(structure(s.example.answer or "") for s in answered).most_common(8))}
        found = list(odd.values())
        return self.finding(found, ids=[row for e in found for row in e.rows]) if found else None


def structure(answer: str) -> str:
    """Return the structure of an answer: JSON, code, list, one line, or several lines."""
    text = answer.strip()
    if text[:1] in "{[" and text[-1:] in "}]":
        return "JSON"
    if "```" in text:
        return "code"
    if re.search(r"(?m)^\s*(?:[-*•]|\d+[.)])\s+\S.*\n\s*(?:[-*•]|\d+[.)])\s", text):
        return "list"
    return "one line" if "\n" not in text else "several lines"


def code_pattern(answer: str) -> str:
    """Return the first word where it holds a digit, letters and digits by kind: `E11.42 - x` is `A9.9`."""
    first = answer.split()[0] if answer.split() else ""
    if not any(sign.isdigit() for sign in first) or len(first) > 24:
        return "" if first else "nothing"
    return re.sub(r"[a-z]+", "a", re.sub(r"[A-Z]+", "A", re.sub(r"\d+", "9", first)))


def casing(answer: str) -> str:
    """Return the case of a short answer: lower, UPPER, Initial capitals or mixed; longer ones are not judged."""
    words = re.findall(r"[^\W\d_]{2,}", answer)
    if not words or len(words) > 4:
        return ""
    text = "".join(words)
    if text.islower():
        return "lower case"
    if text.isupper():
        return "capitals"
    return "initial capitals" if words[0][0].isupper() else "mixed case"


FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("form:", structure),
    ("code pattern:", code_pattern),
    ("letter case:", casing),
)


def _off_dominant(
    answered: Sequence[Subject], what: str, form_of: Callable[[str], str], odd: dict[str, FindingEvidence]
) -> None:
    """Add those whose form hardly any row has, where nine in ten have one form."""
    forms = [form_of(s.example.answer or "") for s in answered]
    counts = Counter(forms)
    common, count = counts.most_common(1)[0]
    if not common or count < limit("dominant_form") * len(forms) or count == len(forms):
        return
    for subject, form in zip(answered, forms, strict=True):
        if form != common and counts[form] <= max(3, limit("odd_form") * len(forms)):
            rest = f"{count:,} of {len(forms):,} answers have {common}"
            evidence = evidence_of(f"{what} {form or 'text'}; {rest}", subject)
            odd.setdefault(evidence.key, evidence)


def _far_too_long(answered: Sequence[Subject], odd: dict[str, FindingEvidence]) -> None:
    """Add answers several times as long as the median, where lengths are alike otherwise."""
    lengths = [len((s.example.answer or "").split()) for s in answered]
    ordered = sorted(lengths)
    middle, high = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    border = max(limit("long_answer") * middle, 2 * high, 12)
    for subject, length in zip(answered, lengths, strict=True):
        if length > border:
            evidence = evidence_of(f"{length} words, the median is {middle}", subject)
            odd.setdefault(evidence.key, evidence)


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
            pile.add(notes[index], survey.sample[index])
        return self.piled(pile)

    def _judge(self, part: str, texts: Sequence[str], notes: dict[int, str]) -> None:
        """Note the texts in another language than four in five."""
        known = {i: language for i, text in enumerate(texts) if (language := language_of(text))}
        if len(known) < FEWEST_ROWS:
            return
        counts = Counter(known.values())
        self.measures = {**self.measures, part: dict(counts.most_common())}
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
    (best, score), (_, second) = sorted(shares(text).items(), key=lambda pair: -pair[1])[:2]
    seen = {word for word in _words_of(text) if best in _languages().get(word, ())}
    return best if score >= 0.25 and score >= 1.5 * second and len(seen) >= 3 else ""


def shares(text: str) -> dict[str, float]:
    """Return for each known language the share of its commonest words among a text's words, 0..1."""
    words, common = _words_of(text), _languages()
    found = Counter(name for word in words for name in common.get(word, ()))
    return {name: found[name] / len(words) if len(words) >= FEWEST_WORDS else 0.0 for name in _names()}


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

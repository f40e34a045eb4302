"""The template: a shared instruction in the user message, which would make all rows of a class duplicates."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curation.likeness.words import SHINGLE, shingles, shingles_of, words

SHARE = 0.10
LEAST = 20
SAMPLE = 10_000
SEED = 20_260_923


@dataclass(frozen=True, slots=True)
class Template:
    """Question shingles that are in more than 10% of the rows and in at least 20 of them."""

    shingles: frozenset[str] = frozenset()
    text: str = ""
    """The words that the shingles cover, in the row that holds most of them; parts joined by ` ... `."""

    def strip(self, found: frozenset[str]) -> frozenset[str]:
        """`found` without the template, unless nothing would remain."""
        return (found - self.shingles) or found


def drawn(rows: int) -> Sequence[int]:
    """Indices of the rows on which the template is counted: all, or 10,000 drawn by a fixed seed, ascending."""
    return range(rows) if rows <= SAMPLE else sorted(random.Random(SEED).sample(range(rows), SAMPLE))


def is_common(count: int, rows: int) -> bool:
    """Whether a shingle in `count` of `rows` rows belongs to the template."""
    return count >= LEAST and count > SHARE * rows


def find_template(questions: Sequence[str]) -> Template:
    """The template of the questions of all rows that have an answer."""
    indices = drawn(len(questions))
    counts = Counter[str]()
    for index in indices:
        counts.update(shingles(questions[index]))
    common = frozenset(s for s, count in counts.items() if is_common(count, len(indices)))
    if not common:
        return Template()
    most = max(indices, key=lambda i: len(shingles(questions[i]) & common))
    return Template(common, covered(questions[most], common))


def covered(question: str, common: frozenset[str]) -> str:
    """The words of `question` that shingles of `common` cover, parts joined by ` ... `."""
    tokens = words(question)
    kept = [False] * len(tokens)
    for i in range(max(1, len(tokens) - SHINGLE + 1)):
        if shingles_of(tokens[i : i + SHINGLE]) <= common:
            kept[i : i + SHINGLE] = [True] * len(tokens[i : i + SHINGLE])
    parts: list[list[str]] = [[]]
    for token, keep in zip(tokens, kept, strict=True):
        if keep:
            parts[-1].append(token)
        elif parts[-1]:
            parts.append([])
    return " ... ".join(" ".join(part) for part in parts if part)

"""One definition of question, answer, near and exact for dedup, split and leakage, in plain Python: the reference."""

from __future__ import annotations

from curation.likeness.answers import answer_form, critical, same_answer
from curation.likeness.words import (
    SHORT,
    Template,
    exact,
    find_template,
    grams,
    jaccard,
    normal,
    shingles,
    shingles_of,
    words,
)

SHORT_THRESHOLD = 0.8
"""Jaccard of character 4-grams from which two short questions are short near."""

__all__ = [
    "SHORT",
    "SHORT_THRESHOLD",
    "Template",
    "answer_form",
    "critical",
    "exact",
    "find_template",
    "grams",
    "jaccard",
    "normal",
    "same_answer",
    "shingles",
    "shingles_of",
    "words",
]

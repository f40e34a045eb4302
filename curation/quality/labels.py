"""Whether answers are labels, and which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from curation.quality.base import Subject

FEWEST = 20
LONGEST = 12
"""Words of an answer that may be a label."""


def labels_of(subjects: Sequence[Subject], limit: int) -> list[str] | None:
    """The label of each row; None where the answers are not labels.

    They are where every answer is short, at most `limit` differ, and four in five rows share theirs with two others.
    """
    answers = [subject.example.answer for subject in subjects]
    if len(answers) < FEWEST or any(answer is None or len(answer.split()) > LONGEST for answer in answers):
        return None
    labels = [(answer or "").strip() for answer in answers]
    counts = Counter(labels)
    shared = sum(count for count in counts.values() if count >= 3)
    if len(counts) > min(limit, len(labels) // 3) or shared < 0.8 * len(labels):
        return None
    return labels

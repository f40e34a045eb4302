"""Rows that say the same in other words: what no comparison of words can find.

Pairs are proposed by TF-IDF (the most alike rows in words, a few for each row) and judged by an embedding. They are
never a leak by themselves: below a cosine of 1 two questions may ask for different things. So each pair is for a
person to look at.
`rules/semantic.toml` says how often the packaged model is right at the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chat.protocols import Embedder
from workspace.shipped_rules import rule_file

AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Meaning:
    """Pairs of places in the two lists that were compared, with their cosine, the highest first."""

    model: str
    threshold: float
    pairs: list[tuple[int, int, float]]
    embedded: int

    def as_json(self) -> dict[str, Any]:
        """Return the report's figures besides the pairs. They apply to the packaged model."""
        sample = sample_at(self.threshold) if self.model.startswith(str(rule_file("semantic.toml")["model"])) else None
        return {"model": self.model, "threshold": self.threshold, "embedded": self.embedded, "sample": sample}


def default_threshold() -> float:
    """Return the threshold that was chosen on one half of the labelled sample."""
    return float(rule_file("semantic.toml")["threshold"])


def sample_at(threshold: float) -> dict[str, Any] | None:
    """Precision and recall on the labelled sample at the highest measured threshold up to this one."""
    below = [entry for entry in rule_file("semantic.toml")["measured"] if entry["threshold"] <= threshold + 1e-9]
    return dict(max(below, key=lambda entry: float(entry["threshold"]))) if below else None


def alike_across(
    embedder: Embedder, train: Sequence[str], test: Sequence[str], threshold: float | None = None
) -> Meaning:
    """Pairs (train, test) of questions with the same meaning. Each text that a proposed pair names is embedded once."""
    wanted = default_threshold() if threshold is None else threshold
    pairs = _proposed(train, test)
    texts = sorted({train[row] for row in pairs[:, 0]} | {test[item] for item in pairs[:, 1]})
    at = {text: place for place, text in enumerate(texts)}
    points = embedder.embed(texts) if texts else np.zeros((0, 1), np.float32)
    one = np.array([at[train[row]] for row in pairs[:, 0]], np.int64)
    other = np.array([at[test[item]] for item in pairs[:, 1]], np.int64)
    score = np.einsum("ij,ij->i", points[one], points[other])
    order = [int(k) for k in np.argsort(-score, kind="stable") if score[k] >= wanted]
    found = [(int(pairs[k, 0]), int(pairs[k, 1]), round(min(1.0, float(score[k])), 4)) for k in order]
    return Meaning(embedder.name, wanted, found, len(texts))


def _proposed(rows: Sequence[str], items: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return for each item the rows with the most similar words: columns row, item."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    none = np.zeros((0, 2), np.int64)
    if not rows or not items:
        return none
    try:
        made = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit([*rows, *items])
    except ValueError:  # no text has a word
        return none
    table, most = made.transform(rows).T.tocsc(), int(rule_file("semantic.toml")["shortlist"])
    wanted = made.transform(items)
    parts = [none]
    for begin in range(0, len(items), AT_ONCE):
        score = (wanted[begin : begin + AT_ONCE] @ table).tocsr()
        for place in range(score.shape[0]):
            line = slice(score.indptr[place], score.indptr[place + 1])
            best = score.indices[line][np.argsort(-score.data[line], kind="stable")[:most]]
            parts.append(np.column_stack((best, np.full(len(best), begin + place))).astype(np.int64))
    return np.concatenate(parts)

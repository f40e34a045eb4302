"""Classify texts: one question a line on standard input, one JSON object a line on standard output.

    echo "my card was stolen" | python predict.py
    {"answer": "lost_card", "probability": 0.97}

A line may be a JSON string, for questions of several lines. Needs Python 3.9 or later and numpy, and the files
`vocabulary.json` and `weights.npz` beside this one. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

WORD = re.compile(r"(?u)\b\w+\b")
SPACES = re.compile(r"\s\s+")


class Classifier:
    """TF-IDF of words and of character 2- to 4-grams within words, each of length 1, then logistic regression."""

    def __init__(self, folder: Path) -> None:
        parts = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            self.idf_words, self.idf_characters = arrays["idf_words"], arrays["idf_characters"]
            self.weights, self.bias = arrays["weights"], arrays["bias"]
        self.words: dict[str, int] = {word: place for place, word in enumerate(parts["words"])}
        self.characters: dict[str, int] = {gram: place for place, gram in enumerate(parts["characters"])}
        self.answers: list[str] = parts["answers"]

    def probabilities(self, text: str) -> Any:
        """One for each of `answers`."""
        words = WORD.findall(text.lower())
        places, values = _vector(words, self.words, self.idf_words, lambda count: 1 + math.log(count))
        more, others = _vector(_grams(text.lower()), self.characters, self.idf_characters, float)
        places += [place + len(self.words) for place in more]
        scores = self.bias + self.weights[:, places] @ np.array(values + others)
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()

    def predict(self, text: str) -> dict[str, Any]:
        """The likeliest answer and its probability."""
        found = self.probabilities(text)
        best = int(found.argmax())
        return {"answer": self.answers[best], "probability": round(float(found[best]), 6)}


def _vector(tokens: list[str], known: dict[str, int], idf: Any, weigh: Any) -> tuple[list[int], list[float]]:
    """Places and values of the known tokens; their squares sum to 1."""
    counts: dict[int, int] = {}
    for token in tokens:
        place = known.get(token)
        if place is not None:
            counts[place] = counts.get(place, 0) + 1
    values = [weigh(count) * float(idf[place]) for place, count in counts.items()]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return list(counts), [value / length for value in values]


def _grams(text: str) -> list[str]:
    """Character 2- to 4-grams of each word with a space before and after it; a short word counts once."""
    found = []
    for word in SPACES.sub(" ", text).split():
        padded = f" {word} "
        for size in (2, 3, 4):
            found += [padded[at : at + size] for at in range(max(len(padded) - size, 0) + 1)]
            if len(padded) <= size:
                break
    return found


def main() -> None:
    """Answer each line."""
    classifier = Classifier(Path(__file__).resolve().parent)
    for line in sys.stdin:
        text = line.rstrip("\r\n")
        with contextlib.suppress(ValueError):
            text = json.loads(text) if text.startswith('"') else text
        sys.stdout.write(json.dumps(classifier.predict(text), ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

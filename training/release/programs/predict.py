"""Classify texts: one question a line on standard input, one JSON object a line on standard output.

    echo "my card was stolen" | python predict.py
    {"answer": "lost_card", "probability": 0.97}

A line may be a JSON string, for questions of several lines. Needs Python 3.9 or later and numpy, and the files
`vocabulary.json` and `weights.npz` beside this one; where there is a folder `model`, torch and transformers too.
Nothing is unpickled, and nothing is fetched.
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


class WordFeatures:
    """TF-IDF of words and of character 2- to 4-grams within words, each of length 1."""

    def __init__(self, parts: Any, arrays: Any) -> None:
        self.idf_words, self.idf_characters = arrays["idf_words"], arrays["idf_characters"]
        self.words: dict[str, int] = {word: place for place, word in enumerate(parts["words"])}
        self.characters: dict[str, int] = {gram: place for place, gram in enumerate(parts["characters"])}

    def of(self, text: str) -> tuple[list[int], list[float]]:
        """Return places of the weights that count, and their factors."""
        words = WORD.findall(text.lower())
        places, values = _vector(words, self.words, self.idf_words, lambda count: 1 + math.log(count))
        more, others = _vector(_grams(text.lower()), self.characters, self.idf_characters, float)
        return [*places, *(place + len(self.words) for place in more)], values + others


class SentenceFeatures:
    """The mean of a text's token states in the model's last layer, of length 1."""

    def __init__(self, folder: Path, longest: int) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.longest = longest
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()

    def of(self, text: str) -> tuple[slice, Any]:
        """Return all places, and the vector."""
        import torch

        tokens = self.tokenizer([text], truncation=True, max_length=self.longest, return_tensors="pt")
        with torch.inference_mode():
            mean = self.model(**tokens).last_hidden_state[0].mean(0)
        return slice(None), torch.nn.functional.normalize(mean, dim=0).double().numpy()


class Classifier:
    """Features of a text, then logistic regression, calibrated on validation rows."""

    def __init__(self, folder: Path) -> None:
        parts = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        model = folder / "model"
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            self.weights, self.bias = arrays["weights"], arrays["bias"]
            self.features = SentenceFeatures(model, parts["longest"]) if model.is_dir() else WordFeatures(parts, arrays)
        self.answers: list[str] = parts["answers"]

    def probabilities(self, text: str) -> Any:
        """Return one for each of `answers`."""
        places, values = self.features.of(text)
        scores = self.bias + self.weights[:, places] @ np.array(values)
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()

    def predict(self, text: str) -> dict[str, Any]:
        """Return the likeliest answer and its probability."""
        found = self.probabilities(text)
        best = int(found.argmax())
        return {"answer": self.answers[best], "probability": round(float(found[best]), 6)}


def _vector(tokens: list[str], known: dict[str, int], idf: Any, weigh: Any) -> tuple[list[int], list[float]]:
    """Return places and values of the known tokens; their squares sum to 1."""
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

"""Search in rows and documents: passages by BM25, rows by the cosine of TF-IDF vectors, both by sentence embeddings.

The nearest train rows of an item are a hint at where its answer comes from: no row alone makes a model answer so.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from chat.protocols import Embedder, Progress
from curation.documents import document_files, paragraphs_of
from curation.example import Example
from curation.split.manifest import load_split, read_manifest

WORDS = re.compile(r"\w+")
CHUNK_WORDS = 120
K1, B = 1.2, 0.75
"""The usual values of BM25 (Robertson and Zaragoza 2009)."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage: `id` is `file:number`, counted from 1; `page` is that of a PDF (`p. 3`)."""

    id: str
    file: str
    text: str
    page: str = ""


def read_documents(folder: Path) -> tuple[Passage, ...]:
    """Return every document below `folder`, a chunk a paragraph; a paragraph of over 120 words is cut at that many.

    Raises RungError for a document that cannot be read.
    """
    return tuple(
        chunk for path in document_files(folder) for chunk in _chunks(path, path.relative_to(folder).as_posix())
    )


def _chunks(path: Path, name: str) -> Iterator[Passage]:
    pieces = ((paragraph.start, piece) for paragraph in paragraphs_of(path, name) for piece in _pieces(paragraph.text))
    for number, (start, piece) in enumerate(pieces, 1):
        yield Passage(f"{name}:{number}", name, piece, start if start.startswith("p. ") else "")


def _pieces(paragraph: str) -> Iterator[str]:
    words = paragraph.split()
    if len(words) <= CHUNK_WORDS:
        yield from [paragraph.strip()] if words else []
        return
    for start in range(0, len(words), CHUNK_WORDS):
        yield " ".join(words[start : start + CHUNK_WORDS])


class Bm25:
    """BM25 over chunks. A word is a run of letters, digits or underscores, in lower case."""

    def __init__(self, chunks: Sequence[Passage]) -> None:
        self.chunks = tuple(chunks)

    @cached_property
    def _postings(self) -> tuple[dict[str, list[tuple[int, float]]], list[float]]:
        counts = [Counter(words(chunk.text)) for chunk in self.chunks]
        lengths = [sum(c.values()) for c in counts]
        mean = sum(lengths) / max(1, len(lengths)) or 1.0
        postings: dict[str, list[tuple[int, float]]] = {}
        for index, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for word, times in count.items():
                weight = times * (K1 + 1) / (times + K1 * (1 - B + B * length / mean))
                postings.setdefault(word, []).append((index, weight))
        return postings, [0.0] * len(counts)

    def search(self, query: str, k: int) -> list[Passage]:
        """Return the k best chunks, best first, ties in document order. A chunk that shares no word is left out."""
        postings, blank = self._postings
        scores = list(blank)
        for word in dict.fromkeys(words(query)):  # in their order: sums of a set differ from process to process
            found = postings.get(word, [])
            rarity = math.log(1 + (len(blank) - len(found) + 0.5) / (len(found) + 0.5))
            for index, weight in found:
                scores[index] += rarity * weight
        order = sorted((i for i, s in enumerate(scores) if s > 0), key=lambda i: (-scores[i], i))
        return [self.chunks[i] for i in order[:k]]


def words(text: str) -> list[str]:
    """Return words in lower case."""
    return WORDS.findall(text.lower())


def holds_pair(text: str, question: str, answer: str) -> bool:
    """True if a passage holds both a question and its answer, word for word, in order."""
    return holds(text, question) and holds(text, answer)


def holds(text: str, part: str) -> bool:
    """True if the words of one part or more are in the text, in order."""
    found = " ".join(words(part))
    return bool(found) and f" {found} " in f" {' '.join(words(text))} "


def vectorizer() -> Any:
    """Return an unfitted TF-IDF over words and character 2- to 4-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    return FeatureUnion([("words", words), ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)))])


class NearestByWords:
    """Example rows by nearness of the words in their questions."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = tuple(examples)

    @cached_property
    def _index(self) -> tuple[Any, Any]:
        fitted = vectorizer()
        return fitted, fitted.fit_transform([example.question for example in self.examples])

    def similarities(self, questions: Sequence[str]) -> Any:
        """Return a matrix `(questions, rows)` of cosines, each 0..2: that of words plus that of characters."""
        fitted, matrix = self._index
        return (fitted.transform(list(questions)) @ matrix.T).toarray()

    def search(self, question: str, k: int) -> list[Example]:
        """Return the k nearest, the nearest first; ties in row order."""
        order = (-self.similarities([question])[0]).argsort(kind="stable")
        return [self.examples[i] for i in order[:k]]


Found = TypeVar("Found")


@dataclass
class Meanings:
    """An embedder that is asked once for each text. `watch` begins the progress of each reading."""

    embedder: Embedder
    watch: Callable[[], Progress | None] | None = None
    known: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Return the name of this search in settings and reports."""
        return f"embeddings ({self.embedder.name})"

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return a matrix with one row of length one for each text."""
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            self.known.update(zip(new, self.embedder.embed(new, self.watch() if self.watch else None), strict=True))
        return np.stack([self.known[text] for text in texts])


@dataclass(frozen=True)
class NearestByMeaning(Generic[Found]):
    """Example rows or passages by nearness in meaning; `texts` are theirs, in the same order."""

    meanings: Meanings
    things: Sequence[Found]
    texts: Sequence[str]

    @cached_property
    def _points(self) -> Any:
        return self.meanings.vectors(self.texts)

    def search(self, query: str, k: int) -> list[Found]:
        """Return the k nearest, the nearest first; ties in order."""
        if not self.things:
            return []
        scores = self._points @ self.meanings.vectors([query])[0]
        order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))
        return [self.things[i] for i in order[:k]]


NEAREST = 3


@dataclass(frozen=True, slots=True)
class NearTrainRow:
    """A train row near an item: its id in the store (empty if it has none), line, similarity 0..1, who decided."""

    id: str
    line: int
    similarity: float
    question: str
    answer: str
    reviewer: str
    state: str
    source: str


class TrainRowIndex:
    """The train rows of a frozen dataset, searched as `NearestByWords` does."""

    def __init__(self, folder: Path) -> None:
        self.rows = load_split(folder, "train")
        entries = [row for row in read_manifest(folder).rows if row.get("split") == "train"]
        self.origin: Mapping[int, Mapping[str, Any]] = {int(row["line"]): row for row in entries}

    def of(self, questions: Sequence[str], k: int = NEAREST) -> list[list[NearTrainRow]]:
        """Return for each question the k nearest, the nearest first; ties in row order."""
        if not (self.rows and questions):
            return [[] for _ in questions]
        scores = NearestByWords(self.rows).similarities(questions) / 2
        return [[self._row(i, float(row[i])) for i in (-row).argsort(kind="stable")[:k]] for row in scores]

    def _row(self, place: int, similarity: float) -> NearTrainRow:
        row, origin = self.rows[place], self.origin.get(place + 1, {})
        return NearTrainRow(
            id=str(origin.get("id") or ""),
            line=place + 1,
            similarity=similarity,
            question=row.question,
            answer=row.answer or "",
            reviewer=str(origin.get("reviewer") or "nobody"),
            state=str(origin.get("state") or ""),
            source=str(origin.get("source") or ""),
        )

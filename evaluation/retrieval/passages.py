"""The user's documents, cut into chunks and searched by BM25. No vectors: nothing to download, nothing to go stale."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from curation.documents import document_files, paragraphs_of

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

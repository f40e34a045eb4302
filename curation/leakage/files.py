"""The leakage check from files to a report, and a train file without leaks."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chat.protocols import Embedder
from curation.example import Example
from curation.formats import malformed_error
from curation.leakage.find import find_leaks
from curation.leakage.report import Leak, LeakReport
from curation.rowfiles import Chosen, Progress, RowFiles
from curation.semantic import Meaning, alike_across
from workspace.files import check_outputs, replacing


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found between two files. `removed`: train rows left out of the clean file, None where none was asked;
    `meaning`: pairs (train, test) that say the same in other words and are no leaks yet, where that was asked.
    """

    report: LeakReport
    train: RowFiles
    test: RowFiles
    removed: int | None
    meaning: Meaning | None = None

    def as_json(self) -> dict[str, Any]:
        """The document of `rung data leakage --json`."""
        return {name: list(value) if isinstance(value, Iterator) else value for name, value in self.document().items()}

    def document(self) -> dict[str, Any]:
        """The same, its lists as iterators: an entry takes more memory than what it is made of."""
        document: dict[str, Any] = {
            "train": self.report.train,
            "test": self.report.test,
            "leaked_test": self.report.leaked_test,
            "leaks": (self.leak_json(leak) for leak in self.report.shown()),
            "suspects": (self.leak_json(leak) for leak in self.report.suspects),
        }
        if self.removed is not None:
            document["removed"] = self.removed
        if self.meaning is not None:
            document["semantic"] = self.meaning.as_json()
            document["paraphrases"] = (self.paraphrase_json(*pair) for pair in self.meaning.pairs)
        return document

    def paraphrase_json(self, row: int, item: int, score: float) -> dict[str, Any]:
        """A pair that says the same in other words, with files and lines."""
        test_file, test_line = self.test.where(item)
        train_file, train_line = self.train.where(row)
        return {
            "test_line": test_line, "train_line": train_line, "test_file": test_file, "train_file": train_file,
            "score": score,
        }  # fmt: skip

    def leak_json(self, leak: Leak) -> dict[str, Any]:
        """One leak or suspect, with files and lines."""
        test_file, test_line = self.test.where(leak.test)
        train_file, train_line = self.train.where(leak.train)
        return {
            "test_line": test_line, "train_line": train_line, "test_file": test_file, "train_file": train_file,
            "kind": leak.kind, "answer": leak.answer, "score": leak.score, "evidence": leak.evidence.as_json(),
        }  # fmt: skip


def check_files(
    train: Sequence[Path],
    test: Sequence[Path],
    clean: Path | None = None,
    progress: Progress | None = None,
    embedder: Embedder | None = None,
    semantic_threshold: float | None = None,
) -> Checked:
    """Check train files against test files; with `clean` write the train lines that leak nothing.

    Rows may be unanswered. Raises InputError with all lines that cannot be read.
    """
    check_outputs(clean, inputs=[*train, *test])
    with (
        RowFiles(test, unanswered=True) as test_files,
        RowFiles(train, unanswered=True, progress=progress) as train_files,
    ):
        items = list(test_files)
        report = find_leaks(train_files, items)
        rejects = [*train_files.rejects, *test_files.rejects]
        if rejects:
            raise malformed_error(rejects, "put the lines right, or leave them out: rung data convert --rejects FILE")
        removed = None if clean is None else _write_clean(clean, train_files, items, report)
        meaning = None if embedder is None else _alike(embedder, semantic_threshold, train_files, items, report)
        return Checked(report, train_files, test_files, removed, meaning)


def _alike(
    embedder: Embedder, threshold: float | None, train: RowFiles, test: Sequence[Example], report: LeakReport
) -> Meaning:
    """Pairs of questions with one meaning, but those that are leaks or suspects already."""
    known = {(leak.train, leak.test) for leak in (*report.leaks, *report.suspects)}
    questions = [example.question for example in train]
    found = alike_across(embedder, questions, [example.question for example in test], threshold)
    return replace(found, pairs=[pair for pair in found.pairs if pair[:2] not in known])


def _write_clean(out: Path, train: RowFiles, test: Sequence[Example], report: LeakReport) -> int:
    """Leave out what leaks and look again, until nothing is found; return how many rows went."""
    keep = np.ones(len(train), np.bool_)
    while report.leaks:
        kept = np.flatnonzero(keep)
        keep[kept[report.train_rows]] = False
        report = find_leaks(Chosen(train, array("q", np.flatnonzero(keep).tobytes())), test)
    with replacing(out) as file:
        train.copy(keep, file)
    return int((~keep).sum())

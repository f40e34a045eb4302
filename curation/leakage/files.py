"""The leakage check from files to a report, and a train file without leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.example import Example
from curation.formats import malformed_error
from curation.leakage.find import find_leaks
from curation.leakage.report import Leak, LeakReport
from curation.rowfiles import Chosen, Progress, RowFiles
from workspace.files import check_outputs, replacing


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found between two files. `removed`: train rows left out of the clean file, None where none was asked."""

    report: LeakReport
    train: RowFiles
    test: RowFiles
    removed: int | None

    def as_json(self) -> dict[str, Any]:
        """The document of `rung data leakage --json`."""
        document: dict[str, Any] = {
            "train": self.report.train,
            "test": self.report.test,
            "leaked_test": self.report.leaked_test,
            "leaks": [self.leak_json(leak) for leak in self.report.shown()],
            "suspects": [self.leak_json(leak) for leak in self.report.suspects],
        }
        return document if self.removed is None else {**document, "removed": self.removed}

    def leak_json(self, leak: Leak) -> dict[str, Any]:
        """One leak or suspect, with files and lines."""
        test_file, test_line = self.test.where(leak.test)
        train_file, train_line = self.train.where(leak.train)
        return {
            "test_line": test_line, "train_line": train_line, "test_file": test_file, "train_file": train_file,
            "kind": leak.kind, "answer": leak.answer, "score": leak.score, "evidence": leak.evidence.as_json(),
        }  # fmt: skip


def check_files(
    train: Sequence[Path], test: Sequence[Path], clean: Path | None = None, progress: Progress | None = None
) -> Checked:
    """Check train files against test files; with `clean` write the train lines that leak nothing.

    Rows may be unanswered. Raises InputError with all lines that cannot be read.
    """
    check_outputs(clean)
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
        return Checked(report, train_files, test_files, removed)


def _write_clean(out: Path, train: RowFiles, test: Sequence[Example], report: LeakReport) -> int:
    """Leave out what leaks and look again, until nothing is found; return how many rows went."""
    kept = list(range(len(train)))
    while report.leaks:
        gone = set(report.train_rows)
        kept = [row for place, row in enumerate(kept) if place not in gone]
        report = find_leaks(Chosen(train, kept), test)
    keep = [False] * len(train)
    for row in kept:
        keep[row] = True
    with replacing(out) as file:
        train.copy(keep, file)
    return len(train) - len(kept)

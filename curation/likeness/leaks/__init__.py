"""Is a test item, or its answer, in the training rows? `find_leaks` says where and how much of it."""

from __future__ import annotations

from curation.likeness.leaks.find import LeakSearch, clean_rows, find_leaks, leaks_between
from curation.likeness.leaks.report import Leak, LeakEvidence, LeakReport

__all__ = ["Leak", "LeakEvidence", "LeakReport", "LeakSearch", "clean_rows", "find_leaks", "leaks_between"]

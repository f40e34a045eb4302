"""Is a test item, or its answer, in the training rows? `find_leaks` says where and how much of it."""

from __future__ import annotations

from curation.leakage.find import clean_rows, find_leaks
from curation.leakage.report import Evidence, Leak, LeakReport

__all__ = ["Evidence", "Leak", "LeakReport", "clean_rows", "find_leaks"]

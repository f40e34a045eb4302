"""How many of the faults that the demo planted were found, by kind, read from the store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from curation.store import StoredRow, open_store
from rung.demo.task import Rows, Task
from workspace.folder import Project
from workspace.settings import load_settings

WORDS = {
    "exact": "exact copies",
    "near": "near copies (case, punctuation)",
    "leak": "leaks from the test set",
    "contradiction": "contradictions",
    "malformed": "malformed lines",
}


def planted_lines(project: Project, task: Task, *, fast: bool) -> list[str]:
    """One line a kind that was planted: found, of how many; empty where nothing was."""
    rows = task.rows(fast)
    if not rows.planted:
        return ["  nothing was planted in this task"]
    found = _found(project, rows)
    return [f"  {WORDS[kind]:<34} {found[kind]:>3} of {len(planted)} found" for kind, planted in rows.planted.items()]


def _found(project: Project, rows: Rows) -> dict[str, int]:
    """Kind -> how many of the planted phrases the checks named."""
    with open_store(project, load_settings(project.settings_file)) as store:
        out = store.rows(role="pool", excluded=True)
        rejected = store.rows(role="pool", state="rejected", excluded=None)
        finding = {change.id: change.finding for change in store.changes(undone=None)}
        crossed = {name for link in store.links() if link.kind == "contradiction" for name in (link.row, link.other)}
        named = {
            "exact": [row for row in out if finding.get(row.change or 0) == "duplicates"],
            "near": [row for row in out if finding.get(row.change or 0) == "duplicates"],
            "leak": [row for row in out if finding.get(row.change or 0) == "leaks"],
            "contradiction": [*rejected, *(store.rows(ids=sorted(crossed)) if crossed else [])],
        }
        malformed = sum(source.counts.get("rejected", 0) for source in store.sources())
    found = {kind: _hits(rows.planted[kind], named[kind]) for kind in named}
    return {**found, "malformed": min(malformed, len(rows.planted["malformed"]))}


def _hits(planted: Iterable[str], rows: Iterable[StoredRow]) -> int:
    """How many planted phrases are among these rows, each row counted once.

    Case and punctuation do not count: of a copy and its original either may be the one that was taken out.
    """
    named, wanted = Counter(_bare(row.example.question) for row in rows), Counter(map(_bare, planted))
    return sum(min(count, named[phrase]) for phrase, count in wanted.items())


def _bare(phrase: str) -> str:
    return " ".join(re.findall(r"\w+", phrase.lower()))

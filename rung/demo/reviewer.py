"""The demo's automatic reviewer: a table that decides what it can read and leaves the rest to a person."""

from __future__ import annotations

from collections import Counter

from curation.review import decide_all
from curation.store import open_store
from rung.demo.task import Judge
from workspace.folder import Project
from workspace.settings import load_settings

WAITING = ("pending", "skipped", "unsure")


def review_by_table(project: Project, judge: Judge) -> Counter[str]:
    """Decide every waiting row that the table can read. Counts: approve, reject, left."""
    settings = load_settings(project.settings_file)
    counts: Counter[str] = Counter(approve=0, reject=0, left=0)
    decisions = []
    with open_store(project, settings) as store:
        for row in store.rows(state=WAITING):
            found = judge.judge(row.example.question, row.example.answer or "")
            counts[found[0] if found else "left"] += 1
            if found:
                decisions.append((row.id, found[0], found[1]))
        decide_all(store, settings, project, judge.name, decisions, kind="automatic")
    return counts

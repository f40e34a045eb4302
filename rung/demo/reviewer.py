"""The demo's automatic reviewer: a table that decides what it can read and leaves the rest to a person."""

from __future__ import annotations

from collections import Counter

from curation.review import Ruling, open_desk
from curation.review.desk import decide_all
from rung.demo.task import Judge
from workspace.folder import Project
from workspace.settings import load_settings

WAITING = ("pending", "skipped", "unsure")


def review_by_table(project: Project, judge: Judge) -> Counter[str]:
    """Decide every waiting row that the table can read. Counts: approve, reject, left."""
    desk = open_desk(project, load_settings(project.settings_file))
    counts: Counter[str] = Counter(approve=0, reject=0, left=0)
    rulings = []
    with desk.store as store:
        for row in store.rows(state=WAITING):
            found = judge.judge(row.example.question, row.example.answer or "")
            counts[found[0] if found else "left"] += 1
            if found:
                rulings.append((row.id, Ruling(found[0], reason=found[1])))
        decide_all(desk, judge.name, rulings, kind="automatic")
    return counts

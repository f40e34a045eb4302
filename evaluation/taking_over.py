"""What was measured becomes answers, and the advice is worked out again: how the door to fine-tuning opens."""

from __future__ import annotations

from typing import Any

from advisor.answers import FACTS, Answers
from advisor.decision import Decision
from advisor.project import advise_project
from advisor.reading import load_answers
from advisor.recording import record_measured
from evaluation.bench import Bench
from evaluation.measured import data_facts
from evaluation.report import Report
from workspace.folder import Project
from workspace.settings import Settings

BY = "rung baseline"


def read_answers(project: Project) -> Answers:
    """answers.toml; all unknown where there is none."""
    return load_answers(project.answers_file) if project.answers_file.exists() else Answers()


def check_advice(project: Project) -> None:
    """Raise now what would stop the advice after an hour of measuring: a fault in answers or rules."""
    advise_project(project, write=False)


def take_over(project: Project, settings: Settings, bench: Bench, report: Report) -> Decision:
    """Record the measured facts in answers.toml, decide again and write decision.json."""
    facts = {**report.judged, **count_rows(project, settings, bench)}
    record_measured(project.answers_file, {k: v for k, v in facts.items() if k in FACTS}, BY)
    return advise_project(project)


def count_rows(project: Project, settings: Settings, bench: Bench) -> dict[str, Any]:
    """The data facts: of the store's rows that could train, else of the frozen rows that arms may show."""
    from curation.store import open_store, store_exists

    if not store_exists(project, settings):
        rows = bench.rows.examples
        return data_facts(rows, len(rows), bench.closed)
    with open_store(project, settings) as store:
        found = [r for r in store.rows(role=["pool", "train", "candidates"]) if r.example.answer is not None]
    usable = [r for r in found if r.is_reviewed or (r.role != "candidates" and r.state != "rejected")]
    reviewed = sum(r.is_reviewed for r in usable)
    return data_facts([r.example for r in usable], reviewed, bench.closed)

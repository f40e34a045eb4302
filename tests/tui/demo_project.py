"""The demo's own project, made by its own code with its own steps, but with few rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rung.demo.house_line import TASK
from rung.demo.shorthand import CodeTable
from rung.demo.walk import STEPS, DemoRows, Walk, review_by_table
from workspace.folder import Project

TEST, POOL = 16, 60


def few(fast: bool) -> DemoRows:
    """The first rows of the demo: planted faults among them."""
    rows = TASK.rows(fast)
    return DemoRows(rows.test[:TEST], rows.pool[:POOL], rows.planted)


def small(**settings):
    """The demo's task with few rows and these settings over its own."""
    merged = {name: {**TASK.settings.get(name, {}), **table} for name, table in settings.items()}
    return replace(TASK, rows=few, settings={**TASK.settings, **merged}, fast_settings={})


def demo(folder: Path, last: str, **settings) -> Project:
    """The demo's folder after its own steps, from the first to the one named `last`."""
    walk = Walk(folder, small(**settings), fast=True, say=lambda _: None)
    walk.begin()
    names = [step.name for step in STEPS]
    walk.run(STEPS[: names.index(last) + 1])
    return walk.project


def fresh(folder: Path, **settings) -> Project:
    """The demo's folder before any step, without the answers: nobody has said anything yet."""
    walk = Walk(folder, small(**settings), fast=True, say=lambda _: None)
    walk.begin()
    walk.project.answers_file.unlink()
    return walk.project


def reviewed_by_table(project: Project) -> None:
    """The demo's automatic reviewer decides what it can read."""
    review_by_table(project, CodeTable())

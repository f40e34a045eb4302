"""The demo's own project, made by its own code with its own steps, but with few rows."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from rung.demo.shorthand import CodeTable
from rung.demo.walk import HERE, STEPS, Walk, review_by_table
from workspace.folder import Project

TEST, POOL = 16, 60


def begun(folder: Path, settings) -> Walk:
    """The demo's folder with few rows, planted faults among them, and these settings over its own."""
    walk = Walk(folder, fast=True, say=lambda _: None)
    walk.begin()
    own = tomllib.loads((HERE / "project" / "rung.toml").read_text())
    merged = {name: {**own.get(name, {}), **table} for name, table in settings.items()}
    walk.project.settings_file.write_text(tomli_w.dumps({**own, **merged}))
    for name, most in (("test", TEST), ("pool", POOL)):
        file = folder / "raw" / f"{name}.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:most]))
    return walk


def demo(folder: Path, last: str, **settings) -> Project:
    """The demo's folder after its own steps, from the first to the one named `last`."""
    walk = begun(folder, settings)
    names = [step.name for step in STEPS]
    walk.run(STEPS[: names.index(last) + 1])
    return walk.project


def fresh(folder: Path, **settings) -> Project:
    """The demo's folder before any step, without the answers: nobody has said anything yet."""
    walk = begun(folder, settings)
    walk.project.answers_file.unlink()
    return walk.project


def reviewed_by_table(project: Project) -> None:
    """The demo's automatic reviewer decides what it can read."""
    review_by_table(project, CodeTable())

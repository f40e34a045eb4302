"""Answers for `rung advise`: from a file, the project, its questions screen, or single values on the command line."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from advisor.answer_file import load_answers, parse_value
from advisor.answers import FACTS, Answers, FactValues
from advisor.contradictions import contradictions
from advisor.recording import record_said, with_said
from rung.tui import run_program
from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.folder import Project
from workspace.settings import load_settings


def answers_given(source: str, project: Project | None, as_json: bool, said: Mapping[str, Any]) -> Answers:
    """Return the answers of the named file, else the project's and those `said`, else from the questions screen.

    Nothing that is said is written here. Raises RungError if there are no answers, and none were given on a screen.
    """
    if source:
        return load_answers(source)
    if project and (said or project.answers_file.exists()):
        before = load_answers(project.answers_file) if project.answers_file.exists() else Answers()
        return with_said(before, said, "") if said else before
    hint = "rung advise --answers FILE --save (rung questions lists the keys)"
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or as_json:
        raise RungError("No answers yet, and no terminal to ask questions on.", hint, where="answers.toml")
    if project is None:
        raise RungError("No Rung project here to keep answers in.", f"rung init, or {hint}", where="answers.toml")

    run_program(project.root, first=1)
    if not project.answers_file.exists():
        raise RungError("No answers yet.", hint, where="answers.toml")
    return load_answers(project.answers_file)


def said_on_the_line(changes: list[str], file: str) -> FactValues:
    """Return the values of `--set key=value`. Raises InputError with all faults, RungError beside `--answers`."""
    if changes and file:
        raise RungError("--set and --answers cannot be combined.", "use one of them", where="--set")
    values, problems = _parsed(changes, "--set")
    if problems:
        raise InputError(problems, "rung questions")
    return values


def write_said(project: Project, said: Mapping[str, Any]) -> None:
    """Write answers into the project's answers.toml, as said by its person."""
    record_said(project.answers_file, said, load_settings(project.settings_file).project.person)


def changed(answers: Answers, changes: list[str]) -> Answers:
    """Return the answers with `key=value` changes; all problems at once."""
    values, problems = _parsed(changes, "--what-if")
    tried = answers.with_changes(**values)
    problems += [Problem(text, where="--what-if") for _, text in contradictions(tried)]
    if problems:
        raise InputError(problems, "rung questions")
    return tried


def _parsed(changes: list[str], option: str) -> tuple[FactValues, list[Problem]]:
    problems: list[Problem] = []
    values: FactValues = {}
    for change in changes:
        key, equals, raw = change.partition("=")
        key, raw = key.strip(), raw.strip()
        if key not in FACTS or not equals:
            hint = did_you_mean(key, FACTS)
            problems.append(Problem(f'"{change}" is not key=value with a known key.{hint}', where=option, found=key))
            continue
        try:
            values[key] = parse_value(FACTS[key], raw)
        except InputError as error:
            problems += [replace(problem, where=option) for problem in error.problems]
    return values, problems

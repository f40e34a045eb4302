"""Where the answers of `rung advise` come from: a file, the project, the terminal, or single values on the line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workspace.errors import RungError

if TYPE_CHECKING:
    from advisor.answers import Answers
    from workspace.errors import Problem
    from workspace.folder import Project


def answers_given(source: str, project: Project | None, as_json: bool, said: Mapping[str, Any]) -> Answers:
    """From the file named, else the project's with what is `said` on the line, else asked line by line on a terminal.

    Nothing that is said is written here.
    """
    from advisor.answers import Answers
    from advisor.reading import load_answers
    from advisor.recording import with_said

    if source:
        return load_answers(source)
    if project and (said or project.answers_file.exists()):
        before = load_answers(project.answers_file) if project.answers_file.exists() else Answers()
        return with_said(before, said, "") if said else before
    if sys.stdin.isatty() and not as_json:
        from advisor.rulebook import load_rulebook
        from rung.cli.asking import ask

        return ask(load_rulebook(project.root / "rules" if project else None), project)
    raise RungError(
        "No answers yet, and no terminal to ask on.",
        "rung questions lists the keys; with them in a file: rung advise --answers FILE --save",
        where="answers.toml",
    )


def said_on_the_line(changes: list[str], file: str) -> dict[str, Any]:
    """The values of `--set key=value`. Raises InputError with all that is wrong, RungError beside `--answers`."""
    from workspace.errors import InputError

    if changes and file:
        raise RungError(
            "--set answers in the project's answers.toml, --answers names another file.", "take one of them"
        )
    values, problems = _parsed(changes, "--set")
    if problems:
        raise InputError(problems, "rung questions")
    return values


def write_said(project: Project, said: Mapping[str, Any]) -> None:
    """Write answers into the project's answers.toml, as said by its person."""
    from advisor.recording import record_said
    from workspace.settings import load_settings

    record_said(project.answers_file, said, load_settings(project.settings_file).project.person)


def changed(answers: Answers, changes: list[str]) -> Answers:
    """The answers with `key=value` changes; all problems at once."""
    from advisor.contradictions import contradictions
    from workspace.errors import InputError, Problem

    values, problems = _parsed(changes, "--what-if")
    tried = answers.with_changes(**values)
    problems += [Problem(text, where="--what-if") for _, text in contradictions(tried)]
    if problems:
        raise InputError(problems, "rung questions")
    return tried


def _parsed(changes: list[str], option: str) -> tuple[dict[str, Any], list[Problem]]:
    """Values by key, and what is wrong with the others."""
    from advisor.answers import FACTS
    from advisor.reading import parse_value
    from workspace.errors import InputError, Problem, did_you_mean

    problems: list[Problem] = []
    values: dict[str, Any] = {}
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

"""Answers for `rung advise`: from a file, the project, the terminal, or single values on the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advisor.answer_file import parse_value
from advisor.answers import FACTS, Answers, FactValues
from advisor.interview import effects, hanging_rules, next_question, progress
from advisor.rulebook import Question, Rulebook
from rung.cli.output import complain
from rung.text.decision_text import step_and_end
from workspace.artefact import now
from workspace.counted import counted
from workspace.errors import InputError, RungError
from workspace.folder import Project

if TYPE_CHECKING:
    from advisor.answers import Answers
    from workspace.errors import Problem
    from workspace.folder import Project


def answers_given(source: str, project: Project | None, as_json: bool, said: Mapping[str, Any]) -> Answers:
    """From the file named, else the project's with what is `said` on the line, else asked line by line on a terminal.

    Nothing that is said is written here.
    """
    from advisor.answer_file import load_answers
    from advisor.answers import Answers
    from advisor.recording import with_said

    if source:
        return load_answers(source)
    if project and (said or project.answers_file.exists()):
        before = load_answers(project.answers_file) if project.answers_file.exists() else Answers()
        return with_said(before, said, "") if said else before
    if sys.stdin.isatty() and not as_json:
        from advisor.rulefiles import load_rulebook

        return ask(load_rulebook(project.root / "rules" if project else None), project)
    raise RungError(
        "No answers yet, and no terminal to ask questions on.",
        "rung advise --answers FILE --save (rung questions lists the keys)",
        where="answers.toml",
    )


def said_on_the_line(changes: list[str], file: str) -> FactValues:
    """The values of `--set key=value`. Raises InputError with all that is wrong, RungError beside `--answers`."""
    from workspace.errors import InputError

    if changes and file:
        raise RungError("--set and --answers cannot be combined.", "use one of them", where="--set")
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


def _parsed(changes: list[str], option: str) -> tuple[FactValues, list[Problem]]:
    """Values by key, and what is wrong with the others."""
    from advisor.answer_file import parse_value
    from advisor.answers import FACTS
    from workspace.errors import InputError, Problem, did_you_mean

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


def ask(book: Rulebook, project: Project | None) -> Answers:
    """Ask until enough is known. In a project each answer is saved before the next question is shown.

    Empty or 0 is "don't know", w shows why it is asked, b goes back one question, q stops and advises.
    """
    answers, asked = Answers(), list[str]()
    complain("Type the number of an answer. 0 or Enter: don't know.  w: why we ask.  b: back.  q: finish.")
    while (question := next_question(book, answers)) is not None:
        _show(question, book, answers)
        reply = _reply()
        if reply == "q":
            break
        if reply == "w":
            _why(question, book, answers)
        elif reply == "b":
            answers = _back(answers, asked)
        else:
            answers = _take(question, reply, answers, asked)
            _save(project, answers)
    if not answers.known():
        raise RungError(
            "No answers yet.",
            "rung advise --answers FILE --save (rung questions lists the keys)",
            where="answers.toml",
        )
    return answers


def _show(question: Question, book: Rulebook, answers: Answers) -> None:
    way = progress(book, answers)
    complain("")
    complain(f"{way.asked + 1} of about {way.about}. {question.text}")
    for number, choice in enumerate(question.answers, 1):
        complain(f"  {number:>2}  {choice.text} (for example: {choice.example})")
    complain("   0  Don't know" if question.answers else "  A number, or Enter for don't know.")


def _reply() -> str:
    sys.stderr.write("> ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    return "q" if not line else line.strip()


def _take(question: Question, reply: str, answers: Answers, asked: list[str]) -> Answers:
    try:
        value = _value(question, reply)
        changed = _with(answers, question.id, value)
    except InputError as error:
        complain(error.message)
        return answers
    asked.append(question.id)
    return changed


def _value(question: Question, reply: str) -> Any:
    if not reply or (reply == "0" and question.answers):
        return None
    if question.answers and reply.isdigit() and 0 < int(reply) <= len(question.answers):
        return question.answers[int(reply) - 1].value
    return parse_value(FACTS[question.id], reply)


def _with(answers: Answers, key: str, value: Any) -> Answers:
    from advisor.contradictions import contradictions
    from workspace.errors import Problem

    said = {"by": "", "at": now().isoformat(), "from": "said"}
    changed = answers.with_changes(**{key: value}, answered={**answers.answered, key: said})
    found = contradictions(changed)
    if found:
        raise InputError([Problem(text) for _, text in found])
    return changed


def _back(answers: Answers, asked: list[str]) -> Answers:
    if not asked:
        return answers
    key = asked.pop()
    notes = {name: about for name, about in answers.answered.items() if name != key}
    return answers.with_changes(**{key: None}, answered=notes)


def _why(question: Question, book: Rulebook, answers: Answers) -> None:
    complain(f"  {question.why}")
    reading = len(hanging_rules(book, question.id))
    complain(f"  {counted(reading, 'rule')} {'uses' if reading == 1 else 'use'} this answer.")
    if FACTS[question.id].kind != "text":
        for effect in effects(book, answers, question.id):
            then = step_and_end(effect.next_step, effect.destination, settled=effect.settled)
            complain(f"  {effect.text}: {then}")


def _save(project: Project | None, answers: Answers) -> None:
    if project is None:
        return
    from advisor.recording import save_answers
    from workspace.settings import load_settings

    person = load_settings(project.settings_file).project.person
    notes = {key: {**about, "by": about.get("by") or person} for key, about in answers.answered.items()}
    save_answers(project.answers_file, answers.with_changes(answered=notes))

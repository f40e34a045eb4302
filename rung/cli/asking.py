"""Asking on a terminal, line by line: the way that works with a screen reader and over any connection."""

from __future__ import annotations

import sys
from typing import Any

from advisor.answers import FACTS, Answers
from advisor.interview import effects, hanging_rules, next_question, progress
from advisor.reading import parse_value
from advisor.rulebook import Question, Rulebook
from rung.cli.output import complain
from rung.report.advice_words import OPTION
from workspace.artefact import now
from workspace.errors import InputError, RungError
from workspace.folder import Project
from workspace.words import counted


def ask(book: Rulebook, project: Project | None) -> Answers:
    """Ask until enough is known. In a project each answer is saved before the next question is shown.

    Empty or 0 is "don't know", w shows why it is asked, b goes back one question, q stops and advises.
    """
    answers, asked = Answers(), list[str]()
    complain("A number chooses. 0 or Enter: don't know.  w: why we ask.  b: back.  q: enough.")
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
            "rung questions lists the keys; with them in a file: rung advise --answers FILE --save",
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
            complain(f"  {effect.text}: next step {OPTION[effect.next_step]}, likely end {OPTION[effect.destination]}")


def _save(project: Project | None, answers: Answers) -> None:
    if project is None:
        return
    from advisor.recording import save_answers
    from workspace.settings import load_settings

    person = load_settings(project.settings_file).project.person
    notes = {key: {**about, "by": about.get("by") or person} for key, about in answers.answered.items()}
    save_answers(project.answers_file, answers.with_changes(answered=notes))

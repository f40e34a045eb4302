"""Writing answers.toml: what was said, and what was measured and outranks it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from advisor.answer_file import load_answers
from advisor.answers import FACTS, Answers, FactValues
from advisor.contradictions import contradictions
from workspace.artefact import now
from workspace.errors import InputError, Problem
from workspace.files import write_text


def save_answers(path: Path, answers: Answers) -> None:
    """Write answers.toml atomically, keys in the order of the contract's table; unknown ones are left out."""
    import tomli_w

    table: FactValues = dict(answers.known())
    notes = {key: dict(note) for key, note in sorted(answers.answered.items(), key=_order)}
    if notes:
        table["answered"] = notes
    write_text(path, tomli_w.dumps(table))


def with_said(answers: Answers, changes: Mapping[str, Any], by: str) -> Answers:
    """Return the answers with what a person said (`None`: don't know); nothing is written.

    Where Rung has measured the same fact, the measured value stays and the said one is kept beside it.
    Raises InputError if the answers would contradict one another.
    """
    values: FactValues = {}
    notes = dict(answers.answered)
    for key, value in changes.items():
        if notes.get(key, {}).get("from") == "measured":
            notes[key] = {**notes[key], "said": "unknown" if value is None else value, "said_by": by}
        else:
            values[key] = value
            notes[key] = {"by": by, "at": now().isoformat(), "from": "said"}
    return _agreeing(answers.with_changes(**values, answered=notes), "answers.toml")


def record_said(path: Path, changes: Mapping[str, Any], by: str) -> Answers:
    """Set what a person answered and write the file. Raises InputError, without writing, for a contradiction."""
    with _alone(path):
        return _write(path, with_said(_load(path), changes, by))


def record_measured(path: Path, facts: Mapping[str, Any], by: str) -> Answers:
    """Set what Rung has measured and write the file; what was said before stays beside it as `said`.

    A measured `None` takes the measurement back and what was said holds again. `by` names the measuring command.
    Answers that the measured facts contradict are set aside (kept as `said`), because what is measured outranks.
    """
    with _alone(path):
        return _write(path, with_measured(_load(path), facts, by))


def with_measured(answers: Answers, facts: Mapping[str, Any], by: str) -> Answers:
    """Return the answers with what Rung has measured, as `record_measured` says; nothing is written."""
    values: FactValues = {}
    notes = dict(answers.answered)
    for key, value in facts.items():
        note = notes.pop(key, {})
        measured_before = note.get("from") == "measured"
        said = note.get("said") if measured_before else getattr(answers, key)
        if value is None:
            values[key] = (None if said == "unknown" else said) if measured_before else getattr(answers, key)
            if said not in (None, "unknown"):
                notes[key] = {"by": note.get("said_by") or note.get("by"), "at": note.get("at"), "from": "said"}
            continue
        values[key] = value
        said_by = note.get("said_by" if measured_before else "by", "")
        said_note = {} if said is None else {"said": said, "said_by": said_by}
        notes[key] = {"by": by, "at": now().isoformat(), "from": "measured", **said_note}
    return _set_aside(answers.with_changes(**values, answered=notes))


def _set_aside(answers: Answers) -> Answers:
    """Forget said answers that contradict measured ones, keeping them in the notes."""
    measured = answers.measured()
    for key in [key for key in answers.known() if key not in measured]:
        if contradictions(answers) and not contradictions(answers.with_changes(**{key: None})):
            note = {**answers.answered.get(key, {}), "from": "said", "set_aside": getattr(answers, key)}
            answers = answers.with_changes(**{key: None}, answered={**answers.answered, key: note})
    return answers


def _write(path: Path, answers: Answers) -> Answers:
    save_answers(path, _agreeing(answers, path.name))
    return answers


def _agreeing(answers: Answers, where: str) -> Answers:
    found = contradictions(answers)
    if found:
        raise InputError([Problem(text, where=where) for _, text in found])
    return answers


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let two programs that answer at once take turns, so that neither overwrites the other's answer."""
    import fcntl

    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _load(path: Path) -> Answers:
    return load_answers(path) if path.exists() else Answers()


def _order(item: tuple[str, Any]) -> tuple[int, str]:
    keys = list(FACTS)
    return (keys.index(item[0]) if item[0] in FACTS else len(keys), item[0])

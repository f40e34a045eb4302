"""Reading answers from TOML or JSON, all faults at once, and writing them: what is measured outranks what is said."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from advisor.answers import FACTS, Answers, Fact, FactValues, contradictions
from workspace.artefact import now
from workspace.errors import InputError, Problem, did_you_mean
from workspace.files import write_text
from workspace.json_types import JsonObject

LIMIT = 1 << 20
"""No answers file is larger than 1 MiB; more is another file."""
UNKNOWN = "unknown"
HINT = "rung questions   lists every key and its answers"


def load_answers(source: Path | str) -> Answers:
    """Read answers from a file (TOML or JSON), or from standard input where `source` is `-`.

    Raises InputError with every problem: file, line, key, what was expected and what was found.
    """
    if str(source) == "-":
        return parse_answers(sys.stdin.buffer.read(LIMIT + 1), "standard input")
    path = Path(source)
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise InputError([Problem(f"cannot be read ({error.strerror}).", where=str(source))]) from error
    return parse_answers(data, path.name)


def answers_at(path: Path) -> Answers:
    """Read a project's answers.toml; without one nothing is known. Errors as `load_answers`."""
    return load_answers(path) if path.exists() else Answers()


def parse_answers(data: bytes | str, name: str = "answers") -> Answers:
    """Return answers from the bytes or text of a TOML or JSON document; JSON is known by its first character.

    Raises InputError as `load_answers`; `name` is the file in messages.
    """
    text, problems = _text(data, name), list[Problem]()
    table = (_json if text.lstrip().startswith("{") else _toml)(text, name, problems)
    return _answers(table, text, name, problems)


def from_table(table: JsonObject, name: str = "answers") -> Answers:
    """Return answers from a plain mapping, checked like a file. Raises InputError."""
    return _answers(table, "", name, [])


def parse_value(fact: Fact, raw: str) -> Any:
    """Return the typed value of a person's text for `fact`; None for "unknown". Raises InputError for a wrong one."""
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        value = raw
    if fact.kind == "text" and value != UNKNOWN:
        value = raw
    value, problem = _checked(fact, value, fact.key)
    if problem:
        raise InputError([problem])
    return value


def _text(data: bytes | str, name: str) -> str:
    if len(data) > LIMIT:
        raise InputError([Problem("is over 1 MiB, which no answers file is.", where=name)], HINT)
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError([Problem("is not UTF-8 text.", where=f"{name} line {line}")], HINT) from error


def _json(text: str, name: str, problems: list[Problem]) -> JsonObject:
    def pairs(items: list[tuple[str, Any]]) -> JsonObject:
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                where = _where(text, name, key, last=True)
                problems.append(Problem(f'"{_show(key)}" is given twice.', where=where, found=key))
            seen.add(key)
        return dict(items)

    try:
        table = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        where = f"{name} line {error.lineno}"
        raise InputError([*problems, Problem(f"is not JSON: {error.msg}.", where=where)], HINT) from error
    except (ValueError, RecursionError) as error:
        raise InputError([*problems, Problem("is not JSON that can be read.", where=name)], HINT) from error
    if not isinstance(table, dict):
        found = type(table).__name__
        raise InputError([Problem("must be one object of answers.", where=name, expected="{...}", found=found)], HINT)
    return table


def _toml(text: str, name: str, problems: list[Problem]) -> JsonObject:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] in ("[", '"'):  # what a table or a quoted key begins with in TOML, and other JSON too
            return _json(text, name, problems)
        place = re.search(r"line (\d+)", str(error))
        what = re.sub(r" \(at .*\)", "", str(error))
        if what == "Cannot overwrite a value":
            what = "a key is given twice"
        said = f": {what}" if isinstance(error, tomllib.TOMLDecodeError) else " that can be read"
        where = f"{name} line {place[1]}" if place else name
        raise InputError([Problem(f"is not TOML{said}.", where=where)], HINT) from error


def _answers(table: JsonObject, text: str, name: str, problems: list[Problem]) -> Answers:
    values: JsonObject = {}
    for key, raw in table.items():
        where = _where(text, name, key)
        if key == "answered":
            values[key] = _answered(raw, where, problems)
        elif key in FACTS:
            values[key], problem = _checked(FACTS[key], raw, where)
            problems += [problem] if problem else []
        else:
            hint = did_you_mean(key, FACTS)
            problems.append(Problem(f'unknown key "{_show(key)}".{hint}', where=where, found=_show(key)))
    answers = Answers(**values)
    problems += [Problem(said, where=_where(text, name, key)) for key, said in contradictions(answers)]
    if problems:
        raise InputError(problems, HINT)
    return answers


def _answered(raw: Any, where: str, problems: list[Problem]) -> JsonObject:
    if not isinstance(raw, dict) or not all(isinstance(note, dict) for note in raw.values()):
        text = "[answered] must be a table of tables: key = {by, at, from}."
        problems.append(Problem(text, where=where, expected="a table", found=_show(raw)))
        return {}
    return {key: {name: _plain(value) for name, value in note.items()} for key, note in raw.items()}


def _plain(value: Any) -> Any:
    """TOML dates become their ISO text, so that notes are JSON values."""
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _checked(fact: Fact, raw: Any, where: str) -> tuple[Any, Problem | None]:
    if raw == UNKNOWN:
        return None, None
    if _is_answer(fact, raw):
        return int(raw) if fact.kind == "integer" else raw + 0.0 if fact.kind == "number" else raw, None
    said = f'{fact.key} = "{_show(raw)}"' if isinstance(raw, str) else f"{fact.key} = {_show(raw)}"
    text = f"{said} does not fit; expected {fact.expected()}."
    if fact.kind == "choice":
        others = [value for value in (*fact.values, UNKNOWN) if value != raw]
        hint = did_you_mean(raw, others) if isinstance(raw, str) else ""
        near = re.search(r'"(.*)"', hint)
        rest = ", ".join(value for value in others if not near or value != near[1])
        text = f"{said} is not an answer.{hint} {'Others' if near else 'Answers'}: {rest}."
    return None, Problem(text, where=where, expected=fact.expected(), found=_show(raw))


def _is_answer(fact: Fact, raw: Any) -> bool:
    if fact.numeric:
        is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
        in_range = is_number and 0 <= raw < 1e15 and (fact.highest is None or raw <= fact.highest)
        return in_range and (fact.kind == "number" or raw == int(raw))
    if fact.kind == "boolean":
        return isinstance(raw, bool)
    return isinstance(raw, str) and (
        raw in fact.values if fact.kind == "choice" else 0 < len(raw) <= 200 and raw.isprintable()
    )


def _show(raw: Any) -> str:
    """Return at most 60 printable characters of the value found."""
    text = "null" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= 60 else text[:57] + "..."


def _where(text: str, name: str, key: str, *, last: bool = False) -> str:
    """`answers.toml line 4` of the key, or the name alone where the line is unknown."""
    pattern = rf'^[\s{{,\[]*"?{re.escape(key)}"?\s*[]=:]' if "\n" in text.strip() else rf'"?{re.escape(key)}"?\s*[=:]'
    found = [match.end() for match in re.finditer(pattern, text, re.MULTILINE)]
    if not found:
        return name
    return f"{name} line {text.count(chr(10), 0, found[-1 if last else 0]) + 1}"


def save_answers(path: Path, answers: Answers) -> None:
    """Write answers.toml atomically, keys in the order of the contract's table; unknown ones are left out."""
    import tomli_w

    table: FactValues = dict(answers.known())
    order = [key for key in FACTS if key in answers.answered]
    if notes := {key: dict(answers.answered[key]) for key in (*order, *sorted(answers.answered.keys() - FACTS))}:
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
        return _write(path, with_said(answers_at(path), changes, by))


def record_measured(path: Path, facts: Mapping[str, Any], by: str) -> Answers:
    """Set what Rung has measured and write the file; what was said before stays beside it as `said`.

    A measured `None` takes the measurement back and what was said holds again. `by` names the measuring command.
    Answers that the measured facts contradict are set aside (kept as `said`), because what is measured outranks.
    """
    with _alone(path):
        return _write(path, with_measured(answers_at(path), facts, by))


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

"""Review by mail or in git: waiting rows out to a JSONL or CSV file, decisions back in."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.example import edited_text
from curation.review.guideline import reason_of, reasons_now
from curation.review.people import Desk
from curation.review.queue import refresh_queue
from curation.review.ruling import Ruling, edited
from curation.review.service import decide_all
from curation.rows.table import LARGEST_FIELD
from curation.store import StoredRow
from curation.store.records import DECIDED, VERDICT_OF, number_of
from curation.store.waiting_rows import for_several
from workspace.errors import InputError, Problem, RungError
from workspace.files import read_utf8, write_text

FIELDS = ("id", "content_hash", "reviewer", "question", "answer", "decision", "text", "reason", "remark")

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of cells that a spreadsheet would compute."""


@dataclass(frozen=True, slots=True)
class DecisionsImported:
    """Decisions imported, rows left without one, and conflicts in words."""

    decided: int
    open: int
    conflicts: tuple[str, ...]


def export_rows(desk: Desk, out: Path, *, assign: str = "", count: int = 0) -> int:
    """Write waiting rows; `decision`, `text` (for an edit), `reason` and `remark` are to be filled in."""
    if out.suffix.lower() not in (".csv", ".jsonl"):
        raise RungError(f"{out}: expected a name that ends in .jsonl or .csv.", "-o review.csv", where=str(out))
    desk.store.check_writable()  # the log tells who took rows out
    refresh_queue(desk.store, desk.settings)
    rows = [row for row in desk.store.rows(state=["pending", "skipped", "unsure"]) if row.queued or row.decision]
    rows = rows[:count] if count else rows
    lines = [_line(row, assign) for row in rows]
    as_json = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text(out, _as_csv(lines) if out.suffix.lower() == ".csv" else as_json)
    desk.store.event("export", desk.settings.project.person, str(out), {"rows": len(rows), "assign": assign})
    return len(rows)


def import_decisions(desk: Desk, file: Path, *, reviewer: str = "") -> DecisionsImported:
    """Import the filled lines of a file that `export_rows` wrote.

    A row whose text changed since, or that someone else decided otherwise, is a conflict and stays as it is. Raises
    InputError with every line that cannot be read or used; then nothing is imported.
    """
    entries = _entries(file)
    filled = [(f"{file}:{line}", entry) for line, entry in entries if entry["decision"]]
    stored = {row.id: row for row in desk.store.rows(ids=[entry["id"] for _, entry in entries])}
    reasons = reasons_now(desk)
    with desk.store.read() as connection:
        several = for_several(connection)  # people may differ on these rows
    problems: list[Problem] = []
    conflicts: list[str] = []
    first: dict[str, Ruling] = {}
    ready: dict[str, list[tuple[str, Ruling]]] = defaultdict(list)
    for where, entry in filled:
        try:
            row, ruling = _checked(entry, stored, reasons)
        except RungError as error:
            problems.append(Problem(error.message, where=where))
            continue
        conflict, other = _conflict(row, entry, ruling), first.get(row.id, ruling)
        differs = (ruling.verdict, ruling.text) != (other.verdict, other.text)
        if not conflict and differs and number_of(row.id) not in several:
            conflict = f"{row.id}: this file holds two decisions that differ; the first was taken."
        if conflict:
            conflicts.append(f"{where}: {conflict}")
            continue
        first.setdefault(row.id, ruling)
        ready[reviewer or entry["reviewer"] or desk.settings.project.person].append((row.id, ruling))
    if problems:
        raise InputError(problems, "Correct these lines; nothing was imported.")
    made = sum(len(decide_all(desk, name, rulings, kind="person")) for name, rulings in ready.items())
    return DecisionsImported(made, len(entries) - len(filled), tuple(conflicts))


def _line(row: StoredRow, assign: str) -> dict[str, str]:
    return {
        "id": row.id,
        "content_hash": row.example.content_hash,
        "reviewer": assign,
        "question": row.example.question,
        "answer": edited_text(row.example.row) if row.example.messages else "",
        **dict.fromkeys(("decision", "text", "reason", "remark"), ""),
    }


def _as_csv(lines: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in line.items()} for line in lines)
    return text.getvalue()


def _no_formula(value: str) -> str:
    """Return a cell that a spreadsheet shows as text: one that begins like a formula gets a `'` in front."""
    return f"'{value}" if value.startswith(FORMULA) else value


def _plain_cell(value: str) -> str:
    """Return a cell as it was before `_no_formula`, so that a copied `answer` comes back unchanged in `text`."""
    return value[1:] if value[:1] == "'" and value[1:].startswith(FORMULA) else value


def _entries(file: Path) -> list[tuple[int, dict[str, str]]]:
    read = _csv_lines if file.suffix.lower() == ".csv" else _json_lines
    problems: list[Problem] = []
    entries: list[tuple[int, dict[str, str]]] = []
    for number, entry, fault in read(read_utf8(file, newline="")):
        if not fault and not (isinstance(entry, dict) and entry.get("id")):
            fault = '"id" is missing.'
        if fault:
            problems.append(Problem(fault, f"{file}:{number}", expected="a line of rung review export"))
        else:
            entries.append((number, {name: str(entry.get(name) or "") for name in FIELDS}))
    if problems:
        raise InputError(problems, "Correct these lines; nothing was imported.")
    return entries


def _csv_lines(text: str) -> Iterator[tuple[int, Any, str]]:
    """(line, entry, fault) of each record, a cell as long as a row may be."""
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for entry in reader:
            yield reader.line_num, {name: _plain_cell(str(value or "")) for name, value in entry.items() if name}, ""
    except csv.Error as error:
        yield reader.line_num, None, f"not CSV ({error})."


def _json_lines(text: str) -> Iterator[tuple[int, Any, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line), ""
            except (ValueError, RecursionError) as error:
                yield number, None, f"not JSON ({error})."


def _checked(
    entry: Mapping[str, str], stored: Mapping[str, StoredRow], reasons: tuple[str, ...]
) -> tuple[StoredRow, Ruling]:
    row = stored.get(entry["id"])
    if row is None:
        raise RungError(f"no row {entry['id']} in this project.")
    verdict = entry["decision"].strip().lower()
    text = entry["text"] if verdict == "edit" else None
    ruling = Ruling(verdict, text, None, reason_of(entry["reason"], reasons), entry["remark"])
    edited(row.example, ruling)  # a ruling that makes no sense ends here
    return row, ruling


def _conflict(row: StoredRow, entry: Mapping[str, str], ruling: Ruling) -> str:
    """Return why a decision cannot be imported; empty if it can."""
    if row.excluded is not None:
        return f"{row.id} was taken out: {row.excluded}."
    if row.state in DECIDED:
        same = VERDICT_OF[row.state] == ruling.verdict
        if same and edited(row.example, ruling) in (None, row.example.to_json()):
            return ""
        return f"{row.reviewer} decided {row.id} meanwhile: {row.state}. The file says {ruling.verdict}."
    if entry["content_hash"] and entry["content_hash"] != row.example.content_hash:
        return f"the text of {row.id} changed since it was written out."
    return ""

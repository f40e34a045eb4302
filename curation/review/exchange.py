"""Review by mail or in git: waiting rows out to a JSONL or CSV file, decisions back in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.review.queue import refresh_queue
from curation.review.reasons import reason_of
from curation.store import StoredRow
from workspace.errors import InputError, Problem, RungError
from workspace.files import write_text

if TYPE_CHECKING:
    from curation.review.desk import Desk, Ruling

FIELDS = ("id", "content_hash", "reviewer", "question", "answer", "decision", "text", "reason", "remark")


@dataclass(frozen=True, slots=True)
class Imported:
    """Decisions taken in, rows left without one, and conflicts in words."""

    decided: int
    open: int
    conflicts: tuple[str, ...]


def export_rows(desk: Desk, out: Path, *, assign: str = "", count: int = 0) -> int:
    """Write waiting rows; `decision`, `text` (for an edit), `reason` and `remark` are to be filled in."""
    refresh_queue(desk.store, desk.settings)
    rows = [row for row in desk.store.rows(state=["pending", "skipped", "unsure"]) if row.queued]
    rows = rows[:count] if count else rows
    if out.suffix.lower() not in (".csv", ".jsonl"):
        raise RungError(f"{out}: expected a name that ends in .jsonl or .csv.", "-o review.csv", where=str(out))
    lines = [_line(row, assign) for row in rows]
    write_text(out, _as_csv(lines) if out.suffix.lower() == ".csv" else _as_jsonl(lines))
    desk.store.event("export", desk.settings.project.person, str(out), {"rows": len(rows), "assign": assign})
    return len(rows)


def import_decisions(desk: Desk, file: Path, *, reviewer: str = "") -> Imported:
    """Take in the filled lines of a file that `export_rows` wrote.

    A row whose text changed since, or that someone else decided otherwise, is a conflict and stays as it is. Raises
    InputError with every line that cannot be read or used; then nothing is taken in.
    """
    from curation.review.desk import decide_all, edited

    entries = list(_entries(file))
    stored = {row.id: row for row in desk.store.rows(ids=[entry["id"] for _, entry in entries])}
    problems, conflicts, still_open = [], [], 0
    ready: dict[str, list[tuple[str, Ruling]]] = {}
    for line, entry in entries:
        if not entry["decision"]:
            still_open += 1
            continue
        try:
            row, ruling = _checked(entry, stored, desk.settings.review.reasons)
            edited(row.example, ruling)
        except RungError as error:
            problems.append(Problem(error.message, where=f"{file}:{line}"))
            continue
        if conflict := _conflict(row, entry, ruling):
            conflicts.append(f"{file}:{line}: {conflict}")
            continue
        name = reviewer or entry["reviewer"] or desk.settings.project.person
        ready.setdefault(name, []).append((row.id, ruling))
    if problems:
        raise InputError(problems, "Put these lines right; nothing was taken in.")
    made = sum(len(decide_all(desk, name, rulings, kind="person")) for name, rulings in ready.items())
    return Imported(made, still_open, tuple(conflicts))


def _line(row: StoredRow, assign: str) -> dict[str, str]:
    return {
        "id": row.id,
        "content_hash": row.example.content_hash,
        "reviewer": assign,
        "question": row.example.question,
        "answer": row.example.answer or "",
        **dict.fromkeys(("decision", "text", "reason", "remark"), ""),
    }


def _as_csv(lines: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _as_jsonl(lines: list[dict[str, str]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _entries(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RungError(f"{file}: cannot be read as UTF-8 text ({error}).", where=str(file)) from error
    if file.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        for entry in reader:
            yield reader.line_num, _filled(entry, file, reader.line_num)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise InputError([Problem(f"not JSON ({error}).", where=f"{file}:{number}")]) from error
            yield number, _filled(entry, file, number)


def _filled(entry: Any, file: Path, line: int) -> dict[str, str]:
    if not isinstance(entry, dict) or not entry.get("id"):
        raise InputError([Problem('"id" is missing.', where=f"{file}:{line}", expected="a line of rung review export")])
    return {name: str(entry.get(name) or "") for name in FIELDS}


def _checked(entry: dict[str, str], stored: dict[str, StoredRow], reasons: tuple[str, ...]) -> tuple[StoredRow, Ruling]:
    from curation.review.desk import Ruling

    row = stored.get(entry["id"])
    if row is None:
        raise RungError(f"no row {entry['id']} in this project.")
    verdict = entry["decision"].strip().lower()
    text = entry["text"] if verdict == "edit" else None
    return row, Ruling(verdict, text, None, reason_of(entry["reason"], reasons), entry["remark"])


def _conflict(row: StoredRow, entry: dict[str, str], ruling: Ruling) -> str:
    """Why a decision cannot be taken in as it stands; empty where it can."""
    if row.excluded is not None:
        return f"{row.id} was taken out: {row.excluded}."
    if row.state in ("approved", "edited", "rejected"):
        same = {"approve": "approved", "reject": "rejected"}.get(ruling.verdict) == row.state
        return (
            "" if same else f"{row.reviewer} decided {row.id} meanwhile: {row.state}. The file says {ruling.verdict}."
        )
    if entry["content_hash"] and entry["content_hash"] != row.example.content_hash:
        return f"the text of {row.id} changed since it was written out."
    return ""

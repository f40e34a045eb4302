"""Argilla's dataset format: records as `Dataset.records.to_datasets()` writes them, with its settings beside them.

Read from argilla 2.8: one column a field or metadata key, `Q.suggestion`, and for each question `Q.responses`,
`Q.responses.users`, `Q.responses.status`, three lists of the same length. `.argilla/` holds settings and name, so that
Argilla can make the dataset again. No Argilla server is needed for either direction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.example import edited_text
from curation.review.desk import Desk
from curation.store import StoredRow
from curation.store.records import row_id
from workspace.errors import InputError, Problem
from workspace.extras import require
from workspace.files import write_bytes, write_text

DATA = "data/train-00000-of-00001.parquet"
QUESTIONS = ("decision", "text", "reason", "remark")
LABELS = {
    "approve": "Approve",
    "edit": "Edit: the right answer is below",
    "reject": "Reject",
    "unsure": "Not sure",
    "flag": "For the adjudicator",
}
TITLES = {"decision": "Is the answer right?", "text": "The right answer", "reason": "Reason", "remark": "Remark"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def write_argilla(desk: Desk, rows: Sequence[StoredRow], folder: Path) -> None:
    """Write rows, with every decision in force on them, as a folder that `datasets.load_dataset` reads."""
    require("argilla", "datasets")
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    votes = _votes(desk, {row.id for row in rows})
    records = [_record(row, votes.get(row.id, [])) for row in rows]
    made = Dataset.from_list(records, features=_features())
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / ".argilla").mkdir(exist_ok=True)
    import io

    data = io.BytesIO()
    made.to_parquet(data)
    write_text(folder / ".argilla" / "settings.json", json.dumps(_settings(desk), ensure_ascii=False))
    write_text(folder / ".argilla" / "dataset.json", json.dumps({"name": _name(desk)}))
    write_bytes(folder / DATA, data.getvalue())


def read_argilla(folder: Path, users: Mapping[str, str], reviewer: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """(record from 1, entry as of a review file) for each submitted response; records without one come with none.

    `users` gives the reviewer behind an Argilla user's id, `reviewer` the one behind all of them. Raises InputError
    where the folder holds no such dataset, or a user's id has no name.
    """
    require("argilla", "datasets")
    table = _load(folder)
    missing = [name for name in ("id", "content_hash", "decision.responses") if name not in table.column_names]
    if missing:
        raise InputError(
            [Problem(f"no column {name}.", where=str(folder), expected="an export of Argilla") for name in missing]
        )
    unknown: set[str] = set()
    for number, record in enumerate(table, 1):
        responses = list(_responses(record))
        base = {name: str(record.get(name) or "") for name in ("id", "content_hash", "question", "answer")}
        if not responses:
            yield number, base
        for user, given in responses:
            name = reviewer or users.get(user, "" if UUID.fullmatch(user) else user)
            unknown |= set() if name else {user}
            yield number, {**base, "reviewer": name, **given}
    if unknown:
        raise InputError(
            [Problem(f"the Argilla user {user} has no name here.", where=str(folder)) for user in sorted(unknown)],
            "--user ID=NAME for each of them, or --reviewer NAME for all",
        )


def _load(folder: Path) -> Any:
    """The records of a folder: our parquet, or what `save_to_disk` or `load_dataset` of such a set left."""
    from datasets import Dataset, DatasetDict, load_from_disk
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        found = sorted(folder.glob("data/*.parquet")) or sorted(folder.glob("*.parquet"))
        if found:
            import tempfile

            with tempfile.TemporaryDirectory() as cache:
                made = Dataset.from_parquet([str(path) for path in found], cache_dir=cache, keep_in_memory=True)
                return made
        made = load_from_disk(str(folder), keep_in_memory=True)
    except (OSError, ValueError) as error:
        raise InputError(
            [Problem(f"no dataset that `datasets` can read ({str(error).splitlines()[0]}).", where=str(folder))]
        ) from error
    return next(iter(made.values())) if isinstance(made, DatasetDict) else made


def _responses(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """(user, decision, text, reason, remark) of each submitted response."""
    by_user: dict[str, dict[str, str]] = {}
    for question in QUESTIONS:
        values = record.get(f"{question}.responses") or []
        users = record.get(f"{question}.responses.users") or []
        states = record.get(f"{question}.responses.status") or ["submitted"] * len(values)
        for value, user, state in zip(values, users, states, strict=False):
            if state == "submitted" and value is not None:
                by_user.setdefault(str(user), {})[question] = str(value)
    for user, given in by_user.items():
        if given.get("decision"):
            yield user, given


def _record(row: StoredRow, votes: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": row.id,
        "status": "completed" if votes else "pending",
        "_server_id": None,
        "question": row.original.question,
        "answer": edited_text(row.original.row),
        "content_hash": row.original.content_hash,
        "source": row.source,
        "role": row.role,
    }
    for question in QUESTIONS:
        said = [vote for vote in votes if vote[question]]
        made[f"{question}.responses"] = [vote[question] for vote in said]
        made[f"{question}.responses.users"] = [vote["reviewer"] for vote in said]
        made[f"{question}.responses.status"] = ["submitted"] * len(said)
    return made


def _votes(desk: Desk, names: set[str]) -> dict[str, list[dict[str, str]]]:
    """Standing decisions of persons on these rows, answers to gold items left out."""
    from curation.example import Example
    from curation.review.people import standing

    found: dict[str, list[dict[str, str]]] = {}
    for each in standing(desk.store):
        name = row_id(each["row_id"])
        if name not in names or each["known"] or each["kind"] != "person" or each["id"] <= each["since"]:
            continue
        if each["verdict"] not in LABELS:
            continue
        edited = Example.from_json(each["payload"]).answer or "" if each["verdict"] == "edit" else ""
        vote = {"decision": each["verdict"], "text": edited, "reason": each["reason"], "remark": each["remark"]}
        found.setdefault(name, []).append({**vote, "reviewer": each["name"]})
    return found


def _features() -> Any:
    from datasets import Features, List, Value

    plain = ("id", "status", "_server_id", "question", "answer", "content_hash", "source", "role")
    lists = [f"{question}.responses{part}" for question in QUESTIONS for part in ("", ".users", ".status")]
    return Features({name: Value("string") for name in plain} | {name: List(Value("string")) for name in lists})


def _settings(desk: Desk) -> dict[str, Any]:
    """What Argilla needs to make the dataset: fields, questions, the guideline."""
    from curation.store.guidelines import current_guideline

    guideline = current_guideline(desk.store, desk.project)
    fields = [
        {"name": name, "title": title, "required": required, "type": "text", "settings": settings}
        for name, title, required in (("question", "Question", True), ("answer", "Proposed answer", False))
        for settings in ({"type": "text", "use_markdown": False},)
    ]
    options = [{"value": value, "text": text} for value, text in LABELS.items()]
    label = {"type": "label_selection", "options": options, "visible_options": len(options)}
    text = {"type": "text", "use_markdown": False}
    return {
        "guidelines": guideline.text if guideline else None,
        "fields": fields,
        "questions": [
            {
                "name": name,
                "title": TITLES[name],
                "required": name == "decision",
                "type": "label_selection" if name == "decision" else "text",
                "settings": label if name == "decision" else text,
            }
            for name in QUESTIONS
        ],
        "vectors": [],
        "metadata": [
            {
                "name": name,
                "title": name,
                "settings": {"type": "terms", "values": None, "visible_for_annotators": True},
                "visible_for_annotators": True,
            }
            for name in ("content_hash", "source", "role")
        ],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _name(desk: Desk) -> str:
    return re.sub(r"[^\w-]+", "-", desk.settings.project.name or desk.project.name).strip("-") or "review"

"""Preference pairs from edits in review.

Read from the frozen manifest and the review log each time; a plan keeps the hash of what it found, and the process
that trains reads it again and compares.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from chat.protocols import Turn
from curation.example import Example, said_in
from curation.split.manifest import load_split, read_manifest
from curation.store import StoredRow, open_store
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

HELD_OUT = 10
"""One in this many is held out, at least one, if validation holds none."""


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one question, the better one `chosen`. `row` is the id of the reviewed row."""

    row: str
    split: Literal["train", "validation"]
    asked: list[Turn]
    chosen: str
    rejected: str
    tools: Any = None

    def texts(self) -> list[Example]:
        """Return both answers as rows, for readers of rows."""
        return [answered(self.asked, text, self.tools) for text in (self.chosen, self.rejected)]


@dataclass(frozen=True, slots=True)
class Preferences:
    """All pairs that were found; `left_out` says of each row that was not taken, why."""

    items: Sequence[AnswerPair]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Return the hash of the items as canonical JSON: the same reviews give the same."""
        lines = (json.dumps(asdict(item), sort_keys=True, ensure_ascii=False) for item in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def of(self, split: str) -> list[AnswerPair]:
        """Return the items of one split."""
        return [item for item in self.items if item.split == split]


def answered(asked: Sequence[Mapping[str, Any]], answer: str, tools: Any = None) -> Example:
    """Return a chat row of these turns and this answer; with tools, calls at its end are calls."""
    row: dict[str, object] = {"messages": list(asked), **({"tools": tools} if tools else {})}
    return Example(row).with_answer(answer)


def preferences_of(project: Project, settings: Settings, folder: Path) -> Preferences:
    """Return pairs from the frozen dataset in `folder` and the review log: one for each row that a person edited, and
    for each that holds both answers itself.

    What is in the frozen test or validation rows is left out. Raises Refusal if too little is left to learn
    from, with what to review.
    """
    manifest = read_manifest(folder)
    split_of = {str(row["id"]): str(row["split"]) for row in manifest.rows if row["split"] != "test"}
    with open_store(project, settings) as store:
        stored = {row.id: row for row in store.rows(excluded=None)}
    pairs: list[AnswerPair] = []
    left_out: dict[str, str] = {}
    for name, split in split_of.items():
        row = stored.get(name)
        if row is None or ("rejected" not in row.example.row and row.state != "edited"):
            continue
        if fault := _fault(row):
            left_out[name] = fault
        else:
            pairs.append(_pair(row, "train" if split == "train" else "validation"))
    if len(pairs) < 2:
        raise Refusal(
            f"{len(pairs)} pairs: a pair is a draft that a reviewer edited, in a frozen row; two at least are needed.",
            "rung review   (edit drafts instead of rejecting them), then rung data freeze",
        )
    return Preferences(_without_leaks(folder, _held_out(pairs), left_out), left_out)


def _fault(row: StoredRow) -> str:
    """Return the reason why the draft and the edit of a row are no pair."""
    now, before = row.example, row.original
    if "rejected" in now.row:
        return ""
    if not before.answer or not before.answer.strip():
        return "it came without an answer: there is no draft to compare with"
    if before.question != now.question or before.context != now.context:
        return "the question was edited too: the draft answers another one"
    if " ".join(before.answer.split()) == " ".join((now.answer or "").split()):
        return "only white space was edited"
    return ""


def _pair(row: StoredRow, split: Literal["train", "validation"]) -> AnswerPair:
    now = row.example
    worse = now.row.get("rejected")
    if worse is None:
        worse = row.original.answer
    elif not isinstance(worse, str):
        worse = said_in(worse[-1])
    return AnswerPair(
        row.id, split, [dict(turn) for turn in now.asked], now.answer or "", str(worse), now.row.get("tools")
    )


def _held_out(pairs: list[AnswerPair]) -> list[AnswerPair]:
    """Return the pairs; where validation holds none, some of train are held out, chosen by their hash."""
    if any(pair.split == "validation" for pair in pairs):
        return pairs
    order = sorted(pairs, key=lambda pair: hashlib.sha256(pair.row.encode()).hexdigest())
    aside = {pair.row for pair in order[: max(1, len(order) // HELD_OUT)]}
    return [replace(pair, split="validation") if pair.row in aside else pair for pair in pairs]


def _without_leaks(folder: Path, items: Sequence[AnswerPair], left_out: dict[str, str]) -> list[AnswerPair]:
    """Return the items, without those that repeat a frozen test row, or in train a validation row."""
    from curation.likeness.leaks import find_leaks

    test, validation = load_split(folder, "test"), load_split(folder, "validation")
    rows = [(item, text) for item in items for text in item.texts()]
    found = {rows[leak.train][0].row: "test" for leak in find_leaks([text for _, text in rows], test).leaks}
    learnt = [(item, text) for item, text in rows if item.split == "train"]
    for leak in find_leaks([text for _, text in learnt], validation).leaks:
        found.setdefault(learnt[leak.train][0].row, "validation")
    left_out.update({name: f"it is in {split}" for name, split in found.items()})
    return [item for item in items if item.row not in found]

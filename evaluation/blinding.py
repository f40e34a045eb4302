"""Blinding: test items and outputs are masked for raters as in review (personal data and keys).

Whoever asks to see them as they are is written into the log: the same event as in the review, never the data itself.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from curation.review.item import UNMASKED, Cover, Found, hidden_words, kinds_of
from curation.store import open_store
from workspace.errors import InputError, RungError
from workspace.files import line_problems
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Hidden:
    """Texts with masks, in the order in which they were given, and what is hidden in them."""

    texts: tuple[str, ...]
    found: Found

    @property
    def words(self) -> str:
        """`1 phone, 2 e-mails`; empty if nothing is hidden."""
        return hidden_words(self.found)


def hidden(*texts: str) -> Hidden:
    """Return the texts as they are shown at first."""
    cover = Cover()
    return Hidden(tuple(map(cover.text, texts)), frozenset(cover.found))


def rater_file(folder: Path, kind: str, rater: str) -> Path:
    """Return the file of a person's `answers` or `labels`. Raises RungError for an empty name."""
    if not rater.strip():
        raise RungError("A rater needs a name.", "--rater NAME")
    return folder / f"{kind}.{quote(rater.strip(), safe='')}.jsonl"


def rater_files(folder: Path, kind: str) -> dict[str, Path]:
    """Return the files of all who gave some, by their names."""
    return {unquote(p.name[len(kind) + 1 : -6]): p for p in sorted(folder.glob(f"{kind}.*.jsonl"))}


def read_sheet(
    path: Path, column: str, words: Collection[str], known: Mapping[int, Callable[[Mapping[str, Any]], bool]]
) -> dict[int, tuple[str, str]]:
    """Return a filled sheet: by id one of the `words` in this column, and the reason. An empty one is left open.

    `known` says of each id whether a line shows its texts. Raises InputError with every line that is no answer.
    """
    found: dict[int, tuple[str, str]] = {}

    def fault(line: str) -> str:
        try:
            row = json.loads(line)
            identity, said = row["id"], str(row.get(column, "")).strip().lower()
        except (ValueError, TypeError, KeyError, AttributeError):
            return "is not a line of the sheet."
        shows = known.get(identity) if isinstance(identity, int) else None
        if shows is None or not shows(row):
            return f"id {identity!r} with these outputs is not of this sheet."
        if identity in found:
            return f"id {identity} is answered twice."
        if said and said not in words:
            return f'{column} "{said}" is none of {", ".join(words)}.'
        if said:
            found[identity] = said, str(row.get("reason", "")).strip()
        return ""

    if problems := line_problems(path, f"id, {column}, reason", fault):
        raise InputError(problems)
    return found


def log_shown(project: Project, settings: Settings, person: str, ref: str, found: Found) -> None:
    """Write to the log who sees `ref` (E-002/human/7) as it is, and what kinds of data; before it is shown."""
    with open_store(project, settings) as store:
        store.event(UNMASKED, person, ref, {"kinds": kinds_of(found)})

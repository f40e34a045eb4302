"""`rung why r-000123`: one row, from its source to the datasets that hold it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from curation.mask import mask
from rung.text.message_text import visible
from workspace.errors import RungError
from workspace.files import sha256_file
from workspace.folder import Project, oldest_first
from workspace.json_types import JsonObject
from workspace.settings import load_settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of a reference: lines for people, a document for `--json`."""

    lines: list[str]
    document: JsonObject


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link of a chain. `whole`: whether its file still has the hash that was written down; None if none was."""

    ref: str
    what: str
    facts: tuple[str, ...] = ()
    sha256: str = ""
    whole: bool | None = None

    def lines(self) -> list[str]:
        """Return the link as lines of text."""
        state = {True: "✓", False: "✗", None: " "}[self.whole]
        head = f"{state} {self.ref:<22} {self.what}" + (f"   {self.sha256[:8]}" if self.sha256 else "")
        return [head, *(f"      {fact}" for fact in self.facts)]

    def as_json(self) -> JsonObject:
        """Return the fields of `--json`."""
        return {
            "ref": self.ref,
            "what": self.what,
            "facts": list(self.facts),
            "sha256": self.sha256 or None,
            "whole": self.whole,
        }


def row_links(project: Project, ref: str) -> Iterator[ChainLink]:
    """Yield a row: where it comes from, what was decided by whom under which guideline, and which datasets hold it."""
    from curation.store import open_store, store_exists

    settings = load_settings(project.settings_file)
    if not store_exists(project, settings):
        raise RungError(f"No row {ref}: this project has no rows yet.", "rung data import FILE", found=ref)
    with open_store(project, settings) as store:
        row = store.row(ref)
        decisions = store.events(ref=ref)
    facts = [f"question: {short(mask(row.example.question))}", f"answer:   {short(mask(row.example.answer or ''))}"]
    if row.payload != row.original_payload:
        facts.append(f"came as:  {short(mask(row.original.answer or ''))}")
    if row.excluded:
        facts.append(f"taken out: {row.excluded}")
    yield ChainLink(ref, f"row, {row.role}, {row.state}", tuple(facts))
    yield ChainLink(row.source, f"source, {row.origin}", tuple(_origin(row.meta)), row.source_sha256)
    if row.reviewer:
        kind = "automatic reviewer" if row.automatic else "reviewer"
        guideline = f"guideline version {row.guideline}" if row.guideline else "no guideline"
        yield ChainLink(row.reviewer, kind, (f"decision {row.decision}, {guideline}",))
    for event in decisions:
        yield ChainLink(f"event {event.id}", f"{event.kind} by {event.actor}, {event.at}")
    for version, split, line, digest in holding(project, ref):
        yield ChainLink(version, f"frozen dataset, {split} line {line}", (), digest)


def _origin(meta: Any) -> Iterator[str]:
    for key in ("strategy", "model", "seed_row", "request", "release", "rating", "comment", "cost_usd", "created_at"):
        if meta.get(key) not in (None, ""):
            yield f"{key}: {mask(str(meta[key])) if key == 'comment' else meta[key]}"


def holding(project: Project, ref: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield the frozen datasets that hold a row: version, split, line, and the SHA-256 of the manifest."""
    from curation.split.manifest import read_manifest

    for path in oldest_first(project.datasets.glob("*/manifest.json")):
        for row in read_manifest(path.parent).rows:
            if row.get("id") == ref:
                yield path.parent.name, str(row["split"]), int(row["line"]), sha256_file(path)


def short(text: str, width: int = 70) -> str:
    """Return one line of row text, control characters shown, not obeyed."""
    plain = visible(text.replace("\n", " / "))
    return plain if len(plain) <= width else plain[: width - 1] + "…"

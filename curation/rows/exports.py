"""Exports of labelling tools whose labels are in keys of their own: refused by name, so that no label is lost."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from curation.rows.jsonline import Malformed

LABEL_STUDIO = {"id", "text", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
"""Keys of a row of Label Studio's JSON-MIN that are no label."""


def check_export(row: Mapping[str, Any]) -> Malformed | None:
    """Return the fault of a row that a labelling tool wrote and whose label is not where Rung would read it."""
    if "_task_hash" in row or "_input_hash" in row:
        return _fault("answer", "Prodigy", "its label counts only where the answer is accept", "label")
    label = next((key for key in row if key.endswith((".responses", ".suggestion", "-suggestion"))), "")
    if label or {"annotation", "annotation_agent"} <= row.keys():
        return _fault(
            label or "annotation", "Argilla", f'its label is in "{label or "annotation"}"', label or "annotation"
        )
    if "annotation_id" in row and "lead_time" in row and "label" not in row:
        label = next((key for key in row if key not in LABEL_STUDIO), "KEY")
        return _fault(label, "Label Studio", "its label is in a key with the name of its question", label)
    return None


def _fault(field: str, tool: str, why: str, answer: str) -> Malformed:
    hint = f"name the columns: --question text --answer {shlex.quote(answer)}"
    return Malformed(field, f"an export of {tool}; {why}.", hint)

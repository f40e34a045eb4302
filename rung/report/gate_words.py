"""The evidence of a gate in words; in JSON the names of its values stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

from rung.status.stages import STEP_WORDS
from training.gate import Gate

NAMES = {
    ("leakage", "test"): "leaks into test",
    ("leakage", "validation"): "leaks into validation",
    ("leakage", "dismissed"): "dismissed by name",
    ("dataset", "version"): "dataset",
    ("review", "reviewed"): "decided and kept",
    ("review", "automatic"): "by an automatic reviewer",
    ("review", "person"): "by a person",
    ("machine", "gib"): "planned",
    ("machine", "has"): "there is",
}
HASH = 8
"""Characters of a hash."""


def evidence_lines(gate: Gate) -> Iterator[str]:
    """`next step: fine-tune`, `sha256: 41aa90c2`."""
    for key, value in gate.evidence.items():
        yield f"{NAMES.get((gate.name, key), key.replace('_', ' '))}: {_said(gate.name, key, value)}"


def _said(gate: str, key: str, value: str | int | float | bool) -> str:
    if key == "next_step":
        return STEP_WORDS.get(str(value), str(value))
    if key == "sha256":
        return str(value)[:HASH]
    if gate == "machine":
        return f"{value:.1f} GiB"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

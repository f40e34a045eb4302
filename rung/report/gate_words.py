"""How gates read, and their evidence; in JSON the names of its values stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
FACT = 38
"""Where a gate's file begins, and where its rule does (two more)."""


def gate_lines(gates: Sequence[Gate]) -> list[str]:
    """One line a gate; under a closed one why, rule and the command that opens it."""
    lines = []
    for gate in gates:
        lines.append(_columns(f"{gate.symbol} {gate.name:<10} ", _fact(gate), FACT, gate.shown))
        if not gate.opens:
            if gate.why:
                lines.append(_columns(" " * 13, f"why: {gate.why}", FACT + 2, f"rule {gate.rule}" if gate.rule else ""))
            if gate.opener:
                lines.append(f"{' ' * 13}do:  {gate.opener}")
    return lines


def _fact(gate: Gate) -> str:
    if gate.override is not None and gate.passed is not True:
        return f'overridden by {gate.override.by}: "{gate.override.reason}"'
    return gate.fact


def _columns(start: str, text: str, width: int, end: str) -> str:
    return f"{start}{text:<{width}}{'' if len(text) < width else '  '}{end}".rstrip()


def passed_of(gates: Sequence[Gate]) -> str:
    """`5 of 6 gates passed`, with the overridden ones named."""
    aside = [gate.name for gate in gates if gate.override is not None]
    text = f"{sum(gate.passed is True for gate in gates)} of {len(gates)} gates passed"
    return text + (f", {', '.join(aside)} overridden" if aside else "")


def locked_lines(gates: Sequence[Gate]) -> list[str]:
    """The refusal of `rung train`: count first, six gates, and the next command."""
    first = next(gate for gate in gates if not gate.opens)
    last = f"Nothing was started.  Next: {first.opener}" if first.opener else "Nothing was started."
    return [f"Training is locked: {passed_of(gates)}.", "", *gate_lines(gates), "", last]


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

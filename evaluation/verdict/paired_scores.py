"""Paired scores: the tuned model's and each arm's on the same items, and their reader for a score file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workspace.errors import InputError, Problem, RungError

ONLY = "baseline"
"""Name of the arm if `baseline` is a plain number."""
NEEDED = ("id", "baseline", "tuned")
READ = (*NEEDED, "cluster")


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Scores in 0..1, item by item: `arms[name][i]` and `tuned[i]` are of item `ids[i]`.

    `clusters` is None if no item names one; an item without one among others is its own. `trainings` has the scores
    of each of several training runs, `tuned` their mean.
    """

    ids: tuple[str, ...]
    tuned: tuple[float, ...]
    arms: Mapping[str, tuple[float, ...]]
    clusters: tuple[str, ...] | None = None
    trainings: tuple[tuple[float, ...], ...] = ()
    unread: tuple[str, ...] = ()
    """Unused keys of a score file, in order."""


@dataclass(slots=True)
class _Reading:
    """Scores read so far, and every problem found."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[str, dict[str, float], float, str | None]] = field(default_factory=list)
    arms: dict[str, None] | None = None
    unread: dict[str, None] = field(default_factory=dict)

    def fault(self, line: int, text: str, expected: str = "", found: Any = "") -> None:
        """Add a problem; `found` as the file writes it."""
        shown = found if isinstance(found, str) else json.dumps(found)[:60]
        self.problems.append(Problem(text, f"{self.name} line {line}", expected, shown))


def read_scores(name: str, data: bytes) -> PairedScores:
    """Read the JSONL of `rung verdict --scores`; `name` is what messages call it.

    Raises InputError with every problem and its line: not JSON, a missing field, a score that is not a number in
    0..1, a repeated id, arms that differ between items, no item at all.
    """
    reading = _Reading(name)
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            _read_line(reading, number, line)
    if not reading.problems and not reading.rows:
        raise InputError([Problem("holds no item.", f"{name} line 1", "one JSON object a line", "nothing")])
    if reading.problems:
        raise InputError(reading.problems)
    rows = reading.rows
    named = any(cluster is not None for *_, cluster in rows)
    return PairedScores(
        ids=tuple(row[0] for row in rows),
        tuned=tuple(row[2] for row in rows),
        arms={arm: tuple(row[1][arm] for row in rows) for arm in rows[0][1]},
        clusters=tuple(f"={row[3]}" if row[3] is not None else f"#{row[0]}" for row in rows) if named else None,
        unread=tuple(reading.unread),
    )


def read_scores_file(path: Path) -> PairedScores:
    """Read scores from a file, as `read_scores`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RungError(f"{path}: cannot be read ({error.strerror}).", where=str(path)) from error
    return read_scores(str(path), data)


def _read_line(reading: _Reading, number: int, line: bytes) -> None:
    try:
        row = json.loads(line.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reading.fault(number, f"is not JSON: {error}.", "a JSON object", line[:60].decode(errors="replace"))
        return
    if not isinstance(row, dict):
        reading.fault(number, "is not a JSON object.", "a JSON object", row)
        return
    for key in NEEDED:
        if key not in row:
            found = ", ".join(f'"{k}"' for k in row) or "no key"
            reading.fault(number, f'"{key}" is missing; found {found}.', f'"{key}"', found)
    identity = _identity(reading, number, row["id"]) if "id" in row else None
    arms = _baseline(reading, number, row["baseline"]) if "baseline" in row else None
    tuned = _score(reading, number, "tuned", row["tuned"]) if "tuned" in row else None
    cluster = _cluster(reading, number, row.get("cluster"))
    reading.unread |= dict.fromkeys(key for key in row if key not in READ)
    if identity is not None and arms is not None and tuned is not None:
        reading.rows.append((identity, arms, tuned, cluster))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key occurs twice")
    return table


def _identity(reading: _Reading, number: int, value: Any) -> str | None:
    if not isinstance(value, str | int) or isinstance(value, bool):
        reading.fault(number, f'"id" is {json.dumps(value)[:60]}, not a text or a whole number.', "a text", value)
        return None
    key = str(value)
    if key in reading.seen:
        told = f'"id" {json.dumps(value)} is on line {reading.seen[key]} already.'
        reading.fault(number, told, "each id once", value)
        return None
    reading.seen[key] = number
    return key


def _baseline(reading: _Reading, number: int, value: Any) -> dict[str, float] | None:
    given = value if isinstance(value, dict) else {ONLY: value}
    labels = [f'"baseline.{arm}"' if isinstance(value, dict) else '"baseline"' for arm in given]
    scores = [_score(reading, number, label.strip('"'), given[arm]) for arm, label in zip(given, labels, strict=True)]
    if not given:
        reading.fault(number, '"baseline" names no arm.', "a score for each arm", "{}")
        return None
    if reading.arms is None:
        reading.arms = dict.fromkeys(given)
    elif set(given) != set(reading.arms):
        wanted, found = ", ".join(reading.arms), ", ".join(given)
        reading.fault(number, f"holds the arms {found}; the lines before hold {wanted}.", wanted, found)
        return None
    return {arm: s for arm, s in zip(given, scores, strict=True) if s is not None} if None not in scores else None


def _score(reading: _Reading, number: int, key: str, value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        reading.fault(number, f'"{key}" is {json.dumps(value)[:60]}, not a number.', "a number in 0..1", value)
        return None
    if not 0 <= value <= 1:
        reading.fault(number, f'"{key}" is {json.dumps(value)[:60]}, outside 0..1.', "a number in 0..1", value)
        return None
    return float(value)


def _cluster(reading: _Reading, number: int, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value != value:  # NaN is no name
        reading.fault(number, f'"cluster" is {json.dumps(value)[:60]}, not a name.', "a text", value)
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

"""The functions behind `import rung`: plain Python values in, one result out; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from workspace.errors import InputError, Problem, did_you_mean

if TYPE_CHECKING:
    from curation.example import Example
    from curation.likeness.duplicates import DedupResult
    from curation.likeness.leaks.find import LeakReport
    from evaluation.verdict.rule import Verdict
Row = Mapping[str, Any]


def dedup(rows: Iterable[Row], threshold: float = 0.8) -> DedupResult:
    """Find the duplicates among rows of any known format (chat, `{"question", "answer"}`, `{"text"}` ...).

    The result holds `kept` (indices), `removed` (each with the row that stays for it and their similarity) and
    `pairs` (near questions with another answer, which stay). Raises InputError with every row that cannot be read,
    and for a threshold outside 0..1.
    """
    from curation.likeness.duplicates import dedup as find

    problems = _faults("threshold", threshold, "above 0 and at most 1")
    (found,) = _read(problems, rows=rows)
    return find(found, threshold)


def leakage(train: Iterable[Row], test: Iterable[Row], threshold: float = 0.8) -> LeakReport:
    """Find test rows whose question or answer occurs in train rows (indices from 0). Raises InputError as `dedup`."""
    from curation.likeness.leaks.find import find_leaks

    problems = _faults("threshold", threshold, "above 0 and at most 1")
    learnt, held = _read(problems, train=train, test=test)
    return find_leaks(learnt, held, threshold)


def verdict(
    baseline: Iterable[float] | Mapping[Any, Iterable[float]],
    tuned: Iterable[float],
    *,
    chosen: str | int | None = None,
    margin: float = 0.05,
    clusters: Sequence[str | int] | None = None,
) -> Verdict:
    """Rule on outcomes from anywhere: scores in 0..1 of the same items, in the same order.

    `baseline` is the best prompt's, or one list for each arm (`chosen` names the one that validation chose); items
    that share a cluster are counted together. Names may be numbers: 1 and "1" are the same. Raises InputError with
    every score that is none.
    """
    from evaluation.verdict.paired_scores import ONLY, PairedScores
    from evaluation.verdict.rule import ShipRule, VerdictEvidence, rule

    arms = baseline if isinstance(baseline, Mapping) else {ONLY: baseline}
    problems = _faults("margin", margin)
    problems += [
        Problem(f"two arms are called {name}.", "baseline") for name, n in Counter(map(str, arms)).items() if n > 1
    ]
    scored = {str(name): _scores(problems, str(name), scores) for name, scores in arms.items()}
    mine = _scores(problems, "tuned", tuned)
    named = None if clusters is None else _listed(problems, "clusters", clusters)
    lengths = {**{name: len(scores) for name, scores in scored.items()}, "tuned": len(mine)}
    _check_lists(problems, lengths if named is None else {**lengths, "clusters": len(named)}, chosen, list(scored))
    groups = named and tuple(f"#{n}" if each is None else f"={each}" for n, each in enumerate(named))
    ids = tuple(str(n) for n in range(len(mine)))
    scores = PairedScores(ids, tuple(mine), {name: tuple(each) for name, each in scored.items()}, groups or None)
    return rule(scores, VerdictEvidence(chosen=None if chosen is None else str(chosen), rule=ShipRule(margin=margin)))


def _check_lists(problems: list[Problem], lengths: Mapping[str, int], chosen: object, arms: list[str]) -> None:
    """Raises InputError with `problems`, and with what does not fit of the lists as a whole."""
    if not problems and (not arms or not lengths["tuned"]):
        problems.append(Problem("there is no item to rule on.", "tuned" if arms else "baseline"))
    if not problems and len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {n}" for name, n in lengths.items())
        problems.append(Problem(f"The lists must be as long as one another, an entry an item; found {found}."))
    if chosen is not None and str(chosen) not in arms:
        found = f"no arm is called {chosen!r}; found {', '.join(arms)}.{did_you_mean(str(chosen), arms)}"
        problems.append(Problem(found, "chosen"))
    if chosen is None and len(arms) > 1:
        problems.append(Problem(f"several arms ({', '.join(arms)}): name the one that validation chose.", "chosen"))
    if problems:
        raise InputError(problems)


def _scores(problems: list[Problem], name: str, values: Iterable[float]) -> list[float]:
    """Return the numbers in 0..1; other values go to `problems`."""
    listed = _listed(problems, name, values)
    for place, value in enumerate(listed):
        problems += _faults(f"{name}[{place}]", value)
    return [float(value) for value in listed] if not problems else [0.0] * len(listed)


def _faults(name: str, value: object, span: str = "in 0..1") -> list[Problem]:
    """Return the faults of a value that must be a number in 0..1."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    fits = is_number and (0 <= value <= 1) and (value > 0 or span == "in 0..1")  # type: ignore[operator]
    expected = f"a number {span}"
    return [] if fits else [Problem(f"expected {expected}, found {value!r:.60}.", name, expected, f"{value!r:.60}")]


def _listed(problems: list[Problem], name: str, values: Iterable[Any]) -> list[Any]:
    """Return the values as a list; none where they are no list of values."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        problems.append(Problem(f"expected a list, found {type(values).__name__}.", name, "a list"))
        return []
    return list(values)


def _read(problems: list[Problem], **lists: Iterable[Row]) -> list[list[Example]]:
    """Return the rows of each list. Raises InputError with `problems` and every row that cannot be read."""
    read = [_examples(problems, name, rows) for name, rows in lists.items()]
    if problems:
        raise InputError(problems)
    return read


def _examples(problems: list[Problem], name: str, rows: Iterable[Row]) -> list[Example]:
    from curation.example import Example
    from curation.rows.families import read_object
    from curation.rows.jsonline import Malformed

    made = []
    for number, row in enumerate(_listed(problems, name, rows)):
        where = f"{name}[{number}]"
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            problems.append(Problem(f"a row is a dict with texts as keys, found {row!r:.60}.", where, "a dict"))
            continue
        try:
            made.append(Example(read_object(dict(row), None)))
        except Malformed as fault:
            problems.append(Problem(fault.reason, where))
    return made

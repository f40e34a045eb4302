"""The functions behind `import rung`: plain Python values in, one result out; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.dedup import DedupResult
    from curation.example import Example
    from curation.leakage import LeakReport
    from evaluation.verdict import Verdict

Row = Mapping[str, Any]


def dedup(rows: Iterable[Row], threshold: float = 0.8) -> DedupResult:
    """Find the duplicates among rows of any known format (chat, `{"question", "answer"}`, `{"text"}` ...).

    The result holds `kept` (indices), `removed` (each with the row that stays for it and their similarity) and
    `pairs` (near questions with another answer, which stay). Raises InputError with every row that cannot be read.
    """
    from curation.dedup import dedup as find

    return find(_examples(rows, "rows"), threshold)


def leakage(train: Iterable[Row], test: Iterable[Row], threshold: float = 0.8) -> LeakReport:
    """Find the test rows whose question or answer stands in the train rows, with the evidence (indices from 0).

    Raises InputError with every row that cannot be read.
    """
    from curation.leakage import find_leaks

    return find_leaks(_examples(train, "train"), _examples(test, "test"), threshold)


def verdict(
    baseline: Sequence[float] | Mapping[str, Sequence[float]],
    tuned: Sequence[float],
    *,
    chosen: str | None = None,
    margin: float = 0.05,
    clusters: Sequence[str] | None = None,
) -> Verdict:
    """Rule on outcomes from anywhere: scores in 0..1 of the same items, in the same order.

    `baseline` is the best prompt's, or one list for each arm (`chosen` names the one that validation chose); items
    that share a cluster are counted together. Raises InputError with every score that is none.
    """
    from evaluation.scores import read_scores
    from evaluation.verdict import Rule, verdict_of
    from workspace.errors import RungError

    arms = baseline if isinstance(baseline, Mapping) else {"baseline": baseline}
    lengths = {**{name: len(scores) for name, scores in arms.items()}, "tuned": len(tuned)}
    if clusters is not None:
        lengths["clusters"] = len(clusters)
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise RungError(f"The lists must be as long as one another, an entry an item; found {found}.")
    items = [
        {
            "id": str(n),
            "baseline": {name: scores[n] for name, scores in arms.items()},
            "tuned": tuned[n],
            **({"cluster": clusters[n]} if clusters is not None else {}),
        }
        for n in range(len(tuned))
    ]
    lines = "\n".join(json.dumps(item) for item in items)
    return verdict_of(read_scores("scores", lines.encode()), chosen, Rule(margin=margin))


def _examples(rows: Iterable[Row], name: str) -> list[Example]:
    from curation.example import Example
    from curation.formats.families import read_object
    from curation.formats.jsonline import Malformed
    from workspace.errors import InputError, Problem

    made, problems = [], []
    for number, row in enumerate(rows):
        try:
            made.append(Example(read_object(dict(row), None)))
        except Malformed as fault:
            problems.append(Problem(fault.reason, f"{name}[{number}]"))
    if problems:
        raise InputError(problems)
    return made

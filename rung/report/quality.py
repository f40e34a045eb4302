"""The page of `rung data check --html`: findings with their rows, and plots of what the rows are like."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from markupsafe import Markup

from curation.checks.base import Checkup, DataFinding
from curation.checks.diversity import VENDI_ROWS
from rung import __version__
from rung.report.page import bar_plot, changes, shown, write_html
from rung.text.checks_text import SYMBOLS, blocking_words, counts, sample

SHOWN = 40
"""Pieces of evidence a finding on the page."""
BARS = 24
MOST_SHOWN = 400
"""Characters of a row on the page."""


@dataclass(frozen=True, slots=True)
class Review:
    """Progress of the review: rows by state, decisions by reviewer."""

    states: Mapping[str, int]
    reviewers: Mapping[str, int]


def write_quality_page(path: Path, checkup: Checkup, review: Review | None = None) -> None:
    """Write the page; `review` where there is a project."""
    write_html(path, "quality.html", quality_values(checkup, review or Review({}, {})))


def quality_values(checkup: Checkup, review: Review) -> Mapping[str, Any]:
    """Return all values of the page."""
    return {
        "version": __version__,
        "checkup": checkup,
        "verdict": blocking_words(checkup),
        "counts": counts(checkup),
        "sample": sample(checkup),
        "plots": list(_plots(checkup, review)),
        "topics": checkup.measures.get("topics", {}).get("topics", []),
        "shown": SHOWN,
        "side_by_side": side_by_side,
        "symbols": SYMBOLS,
        "words": {"blocks": "blocks the dataset", "look": "worth a look", "handled": "handled"},
        "quiet": [check.title for check in checkup.checks if check.rows == 0],
    }


def _plots(checkup: Checkup, review: Review) -> list[tuple[str, Markup]]:
    """Return titles and plots, those that there is something to draw for."""
    measures = checkup.measures
    spread = measures.get("spread", {})
    found = [
        ("Review", _bars("Rows by state of review", review.states)),
        ("Decided by reviewer", _bars("Decisions by reviewer", review.reviewers)),
        ("Words of a question", _bins("Questions by words", spread.get("question_words", []))),
        ("Words of an answer", _bins("Answers by words", spread.get("answer_words", []))),
        ("Classes", _bars("Rows by class", measures.get("balance", {}).get("classes", {}))),
        ("Sources", _bars("Rows by source", spread.get("sources", {}))),
        ("Duplicates by cluster", _bars("Clusters by their size", _clusters(checkup.findings), by_name=True)),
        ("Variety: effective number of different questions", _variety(measures.get("diversity", {}))),
    ]
    return [(title, plot) for title, plot in found if plot]


def side_by_side(texts: Sequence[str]) -> list[Markup]:
    """Return the texts of one piece of evidence; of two rows with the words marked that only one of them has."""
    plain = [Markup(escape(shown(text, MOST_SHOWN))) for text in texts]
    if len(texts) < 2:
        return plain
    left, right = [], []
    for same, mine, theirs in changes(texts[0], texts[1], MOST_SHOWN):
        left += [mine if same else f"<mark>{mine}</mark>"] * bool(mine)
        right += [theirs if same else f"<mark>{theirs}</mark>"] * bool(theirs)
    return [Markup(" ".join(left)), Markup(" ".join(right)), *plain[2:]]


def _bars(title: str, counts: Mapping[str, int], by_name: bool = False) -> Markup:
    ordered = list(counts.items()) if by_name else sorted(counts.items(), key=lambda pair: -pair[1])
    rows = [(str(name), float(count)) for name, count in ordered[:BARS]]
    more = ordered[BARS:]
    rest = f"{len(more)} more, {sum(count for _, count in more):,} rows; the smallest {more[-1][1]:,}" if more else ""
    return bar_plot(title, rows, rest=rest) if rows else Markup("")


def _variety(found: Mapping[str, Any]) -> Markup:
    """Return the Vendi score beside that of public sets, where as many questions were compared."""
    if found.get("vendi_rows") != VENDI_ROWS:
        return Markup("")
    scores = {f"{VENDI_ROWS} of these": found["vendi"]}
    scores |= {f"{VENDI_ROWS} of {name}": score for name, score in found["reference"].items()}
    return bar_plot(f"Vendi score of {VENDI_ROWS} questions", [(name, float(score)) for name, score in scores.items()])


def _bins(title: str, bins: list[dict[str, Any]]) -> Markup:
    rows = [(str(b["to"]) if b["from"] == b["to"] else f"{b['from']:,} to {b['to']:,}", float(b["rows"])) for b in bins]
    return bar_plot(title, rows) if rows else Markup("")


def _clusters(findings: tuple[DataFinding, ...]) -> dict[str, int]:
    """Return the number of clusters by their number of rows, the kept row included."""
    sizes: Counter[int] = Counter()
    for finding in findings:
        if finding.name in ("duplicates", "left_duplicates"):
            sizes.update({int(size): count for size, count in finding.detail.get("clusters", {}).items()})
    return {f"of {size:,} rows": sizes[size] for size in sorted(sizes)}

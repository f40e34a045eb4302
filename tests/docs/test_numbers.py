"""docs/numbers.md explains every label of a figure that reports, pages and commands show."""

import ast
import re
from pathlib import Path

from parsed import parsed

ROOT = Path(__file__).resolve().parents[2]
PAGE = re.sub(r"[`*]", "", (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")).lower()
TEMPLATES = [*(ROOT / "rung/report/templates").glob("*.html"), *(ROOT / "rung/web/templates").glob("*.html")]
WORDS = [ROOT / "rung/text" / f"{name}_text.py" for name in ("verdict", "baseline", "monitoring", "review")]
NO_FIGURES = {"answer, reason, remark", "chosen setting", "for example", "no.", "sha-256", "state", "words"}
"""Headings over texts that the page does not name; each other one stands over a figure, or is one of its words."""


def headings() -> set[str]:
    """Of every table in a report or a page."""
    text = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES)
    over = re.findall(r"<th\b[^>]*>(.*?)</th>", text, re.DOTALL)
    return {re.sub(r"\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", "", each).strip() for each in over} - {""}


def labels() -> set[str]:
    """First words of `("label", text)` pairs in the modules that put figures into words."""
    nodes = [node for path in WORDS for node in ast.walk(parsed(path)) if isinstance(node, ast.Tuple)]
    first = [getattr(node.elts[0], "value", None) for node in nodes if len(node.elts) == 2]
    return {each for each in first if isinstance(each, str) and re.fullmatch(r"[A-Za-z][A-Za-z ,?-]+", each)}


def is_told(label: str) -> bool:
    return all(part.strip() in PAGE for part in re.split(r",| and ", label.lower().rstrip("?")))


def test_every_heading_over_a_figure_and_every_label_of_one_is_explained() -> None:
    over, before = headings(), labels()
    assert len(over) > 40 and {"Score", "Unconstrained", "Constrained"} <= over
    assert len(before) > 15 and {"To the goal", "break-even", "Detectable"} <= before
    assert not {each for each in over | before if each.lower() not in NO_FIGURES and not is_told(each)}

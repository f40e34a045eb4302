"""docs/source-claims.md is made from rules/claims.toml: run with RUNG_WRITE_DOCS=1 to write it."""

import os
import re
import tomllib
from pathlib import Path

from advisor.rulebook import Rulebook
from advisor.rulefiles import load_rulebook

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "source-claims.md"
HOLDS = {"yes": "holds", "partly": "holds in part", "no": "does not hold"}
RULE = r"\{?([a-z]+(?:-[a-z0-9]+)+)\}?"


def filled(text: str, book: Rulebook) -> str:
    def figures(match: re.Match[str]) -> str:
        size = book.by_id[match[1]].effect
        return f"{match[1]}: {size['minimum']:,} at least, {size['recommended']:,} recommended"

    return re.sub(r"\{([\w-]+)\}", figures, text)


def page() -> str:
    book, rows = load_rulebook(), tomllib.loads((ROOT / "rules" / "claims.toml").read_text())["claim"]
    counts = {state: sum(row["holds"] == state for row in rows) for state in HOLDS}
    head = re.split(r"^\d+ claims: ", PAGE.read_text(), maxsplit=1, flags=re.MULTILINE)[0]
    lines = [f"{head}{len(rows)} claims: " + ", ".join(f"{counts[s]} {words}" for s, words in HOLDS.items()) + "."]
    section = ""
    for row in rows:
        assert set(row["source"]) <= book.sources.keys() and (row["because"] or row["holds"] == "yes"), row
        assert set(re.findall(RULE, row["ours"])) <= {*book.by_id, "break-even", "few-shot"}, row
        if row["section"] != section:
            section = row["section"]
            lines += ["", f"## {section}", "", "| The text says | | Here | Why, and source |", "|---|---|---|---|"]
        why = f"{row['because']} [{', '.join(row['source'])}]".strip()
        lines.append(f"| {row['says']} | {HOLDS[row['holds']]} | {filled(row['ours'], book)} | {why} |")
    return "\n".join(lines) + "\n"


def test_the_page_is_what_the_claims_say() -> None:
    if os.environ.get("RUNG_WRITE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()

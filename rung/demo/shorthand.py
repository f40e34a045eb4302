"""A clinic's shorthand for diabetes, made by a small seeded grammar from official ICD-10-CM titles.

The titles are official and public. The shorthand is a substitute for a clinic's, because no clinic publishes its
grammar. A parser written with this grammar would always be right (`read` below is one).
"""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRAMMAR = tomllib.loads((Path(__file__).parent / "grammar.toml").read_text(encoding="utf-8"))
TYPES, SIDES = GRAMMAR["types"], GRAMMAR["sides"]


@dataclass(frozen=True, slots=True)
class Term:
    """One official title or inclusion term of one code."""

    code: str
    text: str

    @property
    def line(self) -> str:
        """Return the house line of the code: category, system, side."""
        return f"{self.code[:3]} {GRAMMAR['systems'][self.code[4]]} {self.side}"

    @property
    def side(self) -> str:
        """The side that the term ends with, or `none`."""
        return next((side for side, said in SIDES.items() if self.text.endswith(said["name"])), "none")


def terms() -> list[Term]:
    """Titles and inclusion terms of the diabetes codes whose phrase names its type, in the order of the table."""
    from workspace.extras import require

    table = require("demo", "simple_icd_10_cm")
    found = []
    for category, said in TYPES.items():
        for code in table.get_descendants(category):
            if table.is_leaf(code):
                texts = [table.get_description(code), *table.get_inclusion_term(code)]
                found += [Term(code, text) for text in texts if said["name"].lower() in text.lower()]
    return found


def write(term: Term, rng: random.Random) -> str:
    """Return one wording of a term in shorthand."""
    kind = TYPES[term.code[:3]]
    finding = _finding(term, kind["name"], rng)
    side = rng.choice(SIDES[term.side]["ways"]) if term.side != "none" else ""
    text = rng.choice(GRAMMAR["orders"]).format(finding=finding, side=side, type=rng.choice(kind["ways"]))
    return re.sub(r" +", " ", text).replace(" :", ":").strip(" -")


def _finding(term: Term, name: str, rng: random.Random) -> str:
    """Return the term without its type and side, its words replaced by shorthand."""
    text = term.text.removesuffix(SIDES[term.side]["name"]) if term.side != "none" else term.text
    text = (
        re.sub(rf"(,? (in|with|due to)? ?)?{re.escape(name)}(,? with )?", "", text, flags=re.IGNORECASE)
        .strip(" ,")
        .lower()
    )
    for official, ways in GRAMMAR["findings"].items():
        if official in text:
            text = re.sub(rf"(?<![\w\0]){re.escape(official)}(?!\w)", f"\0{rng.choice(ways)}\0", text)
    return re.sub(r"\s+", " ", text.replace("\0", " ")).strip()


class CodeTable:
    """Reads shorthand by the grammar's word list and the official table. It approves nothing that it cannot read."""

    name = "ICD-10-CM code table"

    def __init__(self) -> None:
        self._lines: dict[frozenset[str], set[str]] = {}
        for term in terms():
            for finding in _wordings(term):
                self._lines.setdefault(_key(term, finding), set()).add(term.line)
        self._types = _lookup(TYPES)
        self._sides = _lookup(SIDES)

    def read(self, phrase: str) -> str | None:
        """Return the house line of a phrase; None without a single type, side or line."""
        rest, kinds = _take(_plain(phrase), self._types)
        rest, sides = _take(rest, self._sides)
        if len(kinds) != 1 or len(sides) > 1:
            return None
        words = frozenset(rest.split()) - FILLERS
        lines = self._lines.get(frozenset({kinds[0], *sides, *words}), set())
        return next(iter(lines)) if len(lines) == 1 else None

    def judge(self, phrase: str, line: str) -> tuple[str, str] | None:
        """(approve, "") or (reject, reason); None if the word list cannot read the phrase."""
        read = self.read(phrase)
        if read is None:
            return None
        return ("approve", "") if read == line.strip() else ("reject", "wrong answer")


FILLERS = frozenset({"w/", "in", "-", ":", "+", "with", "pt", "noted", "hx", "of"})


def _plain(text: str) -> str:
    """Lower case, punctuation that carries nothing taken off, words joined by one space."""
    return re.sub(r"\s+", " ", re.sub(r"[.,;:!()]", " ", text.lower()).replace("+", " + ")).strip()


def _lookup(table: Mapping[str, Mapping[str, Sequence[str]]]) -> list[tuple[str, str]]:
    """(shorthand, meaning), the longest first."""
    return sorted(((_plain(way), key) for key, said in table.items() for way in said["ways"]), key=lambda p: -len(p[0]))


def _take(text: str, lookup: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """Take every known phrase out of `text`; return what is left and what was found."""
    found = []
    for way, meaning in lookup:
        text, times = re.subn(rf"(?<![\w/-]){re.escape(way)}(?![\w/-])", " ", text)
        found += [meaning] * bool(times)
    return re.sub(r"\s+", " ", text).strip(), sorted(set(found))


def _wordings(term: Term) -> set[str]:
    """Return every wording that the grammar can give a term's finding."""
    name = TYPES[term.code[:3]]["name"]
    return {_finding(term, name, random.Random(seed)) for seed in range(40)}


def _key(term: Term, finding: str) -> frozenset[str]:
    side = () if term.side == "none" else (term.side,)
    return frozenset({term.code[:3], *side, *(frozenset(_plain(finding).split()) - FILLERS)})

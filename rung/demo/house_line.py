"""The demo's rows: a clinic's shorthand in, the house line (category, system, side) out. Its other files: project/.

The titles are official (ICD-10-CM) and public. The shorthand, made by a small seeded grammar, is a substitute for a
clinic's: no clinic publishes its grammar. A parser written with this grammar would always be right (`read` is one).
"""

import json
import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from curation.example import chat_row
from workspace.extras import require

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
            for finding in _findings(term):
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


def _findings(term: Term) -> set[str]:
    """Return every wording that the grammar can give a term's finding."""
    name = TYPES[term.code[:3]]["name"]
    return {_finding(term, name, random.Random(seed)) for seed in range(40)}


def _key(term: Term, finding: str) -> frozenset[str]:
    side = () if term.side == "none" else (term.side,)
    return frozenset({term.code[:3], *side, *(frozenset(_plain(finding).split()) - FILLERS)})


SEED = 13
TEST_CODES = 150
FAST_CODES, FAST_TEST = 160, 36


class ChatRow(TypedDict):
    """A row of the demo as a line of its file holds it; `code`, `term` and `note` where the demo needs them."""

    messages: list[dict[str, str]]
    code: NotRequired[str]
    term: NotRequired[str]
    note: NotRequired[str]


@dataclass(frozen=True, slots=True)
class DemoRows:
    """Import of the demo: the test set, the raw pool lines, and the planted faults, by kind."""

    test: list[ChatRow]
    pool: list[str]
    planted: dict[str, list[str]]


def rows(fast: bool) -> DemoRows:
    """Test rows (one phrase for each of 150 codes; 36 with `fast`) and the pool with its planted faults.

    No code of the test set is in the pool. The pool has two wordings a code (with `fast` one of 160 codes).
    """
    rng = random.Random(SEED)
    by_code: dict[str, list[Term]] = {}
    for term in terms():
        by_code.setdefault(term.code, []).append(term)
    codes = sorted(by_code)
    rng.shuffle(codes)
    test = [_row(by_code[code], rng) for code in codes[:TEST_CODES]]
    pool = codes[TEST_CODES:][: FAST_CODES if fast else None]
    clean = [row for code in pool for row in _wordings(by_code[code], 1 if fast else 2, rng)]
    return _plant(clean, test[:FAST_TEST] if fast else test, rng)


def _row(choices: Sequence[Term], rng: random.Random) -> ChatRow:
    term = rng.choice(choices)
    messages = chat_row(write(term, rng), term.line)["messages"]
    return ChatRow(messages=messages, code=term.code, term=term.text)


def _wordings(choices: Sequence[Term], count: int, rng: random.Random) -> list[ChatRow]:
    found: dict[str, ChatRow] = {}
    while len(found) < count:
        row = _row(choices, rng)
        found.setdefault(row["messages"][0]["content"], row)
    return list(found.values())


def _plant(clean: list[ChatRow], test: list[ChatRow], rng: random.Random) -> DemoRows:
    """Add known faults to clean rows, so that the demo can say how many of each kind were found."""
    drawn = rng.sample(clean, 88)
    exact, near, crossed = drawn[:40], [_near(row, rng) for row in drawn[40:80]], [_contradict(r) for r in drawn[80:]]
    leaks: list[ChatRow] = [{**row, "note": "copied"} for row in rng.sample(test, 10)]
    lines = [json.dumps(row, ensure_ascii=False) for row in [*clean, *exact, *near, *leaks, *crossed]] + MALFORMED
    rng.shuffle(lines)
    planted = {
        "exact": [_phrase(row) for row in exact],
        "near": [_phrase(row) for row in near],
        "leak": [_phrase(row) for row in leaks],
        "contradiction": [_phrase(row) for row in crossed],
        "malformed": list(MALFORMED),
    }
    return DemoRows(test, lines, planted)


MALFORMED = [
    '{"messages": [{"role": "user", "content": "T2DM w/ CKD"}',
    '{"mesages": [{"role": "user", "content": "DM1 w/ DKA"}, {"role": "assistant", "content": "E10 acute none"}]}',
    '{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "E11 eye left"}]}',
    '{"messages": [{"role": "assistant", "content": "E11 eye left"}, {"role": "user", "content": "T2DM PDR OS"}]}',
    '{"messages": [{"role": "user", "content": "T1DM w/ PAD"}, {"role": "coder", "content": "E10 vascular none"}]}',
    "type 2 DM w/ foot ulcer -> E11 other none",
]


def _phrase(row: ChatRow) -> str:
    return str(row["messages"][0]["content"])


def _near(row: ChatRow, rng: random.Random) -> ChatRow:
    text = _phrase(row)
    changed = rng.choice([text.upper() + ".", text.replace(" ", ", ", 1), f"({text})", text.title() + " !"])
    return {**row, "messages": [{"role": "user", "content": changed}, row["messages"][1]]}


def _contradict(row: ChatRow) -> ChatRow:
    line = str(row["messages"][1]["content"])
    other = "E13" if not line.startswith("E13") else "E11"
    return {**row, "messages": [row["messages"][0], {"role": "assistant", "content": other + line[3:]}]}


def documents() -> dict[str, str]:
    """Return the code book: one Markdown file a category, one entry a paragraph, official words only."""
    book: dict[str, list[str]] = {}
    for term in terms():
        book.setdefault(term.code[:3], []).append(f"{term.code}: {term.text}")
    return {f"{category}.md": "\n\n".join(entries) + "\n" for category, entries in book.items()}

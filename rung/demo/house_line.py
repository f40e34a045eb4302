"""The demo's rows: a clinic's shorthand in, the house line (category, system, side) out. Its other files: project/."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from curation.example import chat_row
from rung.demo.shorthand import Term, terms, write

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
    """`count` different wordings of one code."""
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
    """Return the same row with other case and punctuation."""
    text = _phrase(row)
    changed = rng.choice([text.upper() + ".", text.replace(" ", ", ", 1), f"({text})", text.title() + " !"])
    return {**row, "messages": [{"role": "user", "content": changed}, row["messages"][1]]}


def _contradict(row: ChatRow) -> ChatRow:
    """Return the same phrase with the line of another type."""
    line = str(row["messages"][1]["content"])
    other = "E13" if not line.startswith("E13") else "E11"
    return {**row, "messages": [row["messages"][0], {"role": "assistant", "content": other + line[3:]}]}


def documents() -> dict[str, str]:
    """Return the code book: one Markdown file a category, one entry a paragraph, official words only."""
    book: dict[str, list[str]] = {}
    for term in terms():
        book.setdefault(term.code[:3], []).append(f"{term.code}: {term.text}")
    return {f"{category}.md": "\n\n".join(entries) + "\n" for category, entries in book.items()}

"""Dedup against a slow, plain reading of the definitions, on thousands of random small sets."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from curation.example import Example, chat_row
from curation.likeness import fingerprints
from curation.likeness.duplicates import DedupResult, dedup
from curation.likeness.fingerprints import Fingerprinted
from curation.likeness.words import exact, find_template, grams, jaccard, same_answer, shingles

WORDS = [*(f"w{i}" for i in range(12)), "left", "right", "not", "10", "-1", "é", "e\u0301", "日本"]
LONG = [f"v{i}" for i in range(40)]


def random_rows(seed: int, size: int) -> list[Example]:
    """Rows made by copying and editing each other, so that clusters, chains and clashes are common."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    while len(rows) < size:
        if rows and rng.random() < 0.75:
            rows.append(edited(rng, rng.choice(rows)))
        elif rng.random() < 0.1:
            rows.append({"text": rng.choice(["", "!", "?", "!!", " ! ", "left right", "Left  RIGHT"])})
        elif rng.random() < 0.2:
            rows.append({"text": sentence(rng)})
        else:
            rows.append(chat_row(sentence(rng), rng.choice(["yes", "no", "1", "-1", sentence(rng)]), "", k=len(rows)))
    return [Example(row) for row in rows]


def sentence(rng: random.Random) -> str:
    pool = WORDS if rng.random() < 0.5 else LONG
    return " ".join(rng.choice(pool) for _ in range(rng.choice([1, 2, 4, 5, 8, 19, 20, 30, 60])))


def edited(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    if "text" in row:
        return {"text": edit(rng, row["text"])}
    messages = [dict(m) for m in row["messages"]]
    place = rng.choice([-2, -2, -1])
    messages[place]["content"] = edit(rng, messages[place]["content"]) or "x"
    if rng.random() < 0.15:
        messages.insert(0, {"role": "system", "content": rng.choice(["Be brief.", "Be long."])})
        messages = messages[-3:]
        messages = messages if messages[0]["role"] == "system" or len(messages) == 2 else messages[1:]
    out = {**row, "messages": messages}
    if rng.random() < 0.1:
        out["tools"] = [{"name": rng.choice("ab")}]
    return out


def edit(rng: random.Random, text: str) -> str:
    parts = text.split(" ")
    kind = rng.randrange(6)
    if kind == 0:
        return text
    if kind == 1:
        return rng.choice([text.upper(), text + " ", text.replace(" ", "  "), text + ".", text.replace("é", "e\u0301")])
    if kind == 2:
        return " ".join([*parts, rng.choice(WORDS)])
    parts[rng.randrange(len(parts))] = rng.choice(WORDS)
    return " ".join(parts)


class Oracle:
    """Every pair of rows, by the words of the definition."""

    def __init__(self, rows: list[Example], threshold: float) -> None:
        self.rows, self.threshold = rows, threshold
        template = find_template([r.question for r in rows if r.answer is not None])
        self.sets = [
            (found - template) or found if row.answer is not None else found
            for row, found in ((row, shingles(row.question)) for row in rows)
        ]
        edges = [(i, j) for i, j in combinations(range(len(rows)), 2) if self.is_edge(i, j)]
        self.cluster = self.components(edges)
        self.removed = {
            i: self.cluster[i] for i in range(len(rows)) if self.cluster[i] != i and self.same(i, self.cluster[i])
        }
        stays = [i for i in range(len(rows)) if i not in self.removed]
        self.pairs = {(i, j): kind for i, j in combinations(stays, 2) if (kind := self.kind(i, j))}
        self.clusters = sum(1 for count in Counter(self.cluster).values() if count > 1)

    def exact(self, i: int, j: int) -> bool:
        return exact(self.rows[i].question, self.rows[j].question)

    def near(self, i: int, j: int) -> bool:
        return self.exact(i, j) or jaccard(self.sets[i], self.sets[j]) >= self.threshold

    def same(self, i: int, j: int) -> bool:
        return same_answer(self.rows[i].answer, self.rows[j].answer, self.threshold)

    def is_edge(self, i: int, j: int) -> bool:
        return self.near(i, j) and self.same(i, j) and self.rows[i].context == self.rows[j].context

    def kind(self, i: int, j: int) -> str:
        if self.near(i, j):
            if self.same(i, j):
                return ""
            clash = self.exact(i, j) and self.rows[i].system == self.rows[j].system
            return "contradiction" if clash else "minimal_pair"
        one, other = grams(self.rows[i].question), grams(self.rows[j].question)
        return "short_near" if jaccard(one, other) >= 0.8 else ""

    def components(self, edges: list[tuple[int, int]]) -> list[int]:
        label = list(range(len(self.rows)))
        changed = True
        while changed:
            changed = False
            for i, j in edges:
                low = min(label[i], label[j])
                changed |= label[i] != low or label[j] != low
                label[i] = label[j] = low
        return label


def check(rows: list[Example], threshold: float, result: DedupResult) -> None:
    oracle = Oracle(rows, threshold)
    assert {r.index: r.kept for r in result.removed} == oracle.removed
    assert {(p.index, p.other): p.kind for p in result.pairs} == oracle.pairs
    assert len(result.pairs) == len(oracle.pairs)
    assert result.clusters == oracle.clusters
    assert result.kept == [i for i in range(len(rows)) if i not in oracle.removed]
    for r in result.removed:
        assert (r.kind == "exact") == oracle.exact(r.index, r.kept)
        score = 1.0 if r.kind == "exact" else jaccard(oracle.sets[r.index], oracle.sets[r.kept])
        assert r.similarity == pytest.approx(score)
        assert (r.via is None) == (score >= threshold)
        assert r.via is None or oracle.is_edge(r.via, r.index)
    for p in result.pairs:
        near = jaccard(oracle.sets[p.index], oracle.sets[p.other]) if p.kind != "short_near" else None
        assert near is None or p.similarity == pytest.approx(1.0 if oracle.exact(p.index, p.other) else near)
    report = result.report()
    assert report["read"] == report["kept"] + report["exact"] + report["near"] == len(rows) + 0 * len(rows)  # type: ignore[operator]


def same_outcome(one: DedupResult, other: DedupResult) -> None:
    """All but `via`, where any neighbour will do."""
    assert [replace(r, via=None) for r in one.removed] == [replace(r, via=None) for r in other.removed]
    assert one.pairs == other.pairs


@tries(1500)
@given(
    seed=st.integers(0, 1 << 40),
    size=st.integers(0, 24),
    threshold=st.sampled_from([0.5, 0.8, 0.8, 0.9, 1.0]),
)
def test_agrees_with_the_definition(seed: int, size: int, threshold: float) -> None:
    rows = random_rows(seed, size)
    check(rows, threshold, dedup(rows, threshold))


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_template_and_compiled(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared instruction in the user message; numba's code and numpy's find the same, however few rows at once."""
    monkeypatch.setattr(fingerprints, "ROWS_AT_ONCE", 40)
    rng = random.Random(seed)
    instruction = "Read the message of our customer and name the one intent that fits it best of all: "
    rows = []
    for row in random_rows(seed, 150):
        if row.answer is not None and rng.random() < 0.8:
            messages = [dict(m) for m in row.messages]
            messages[-2]["content"] = instruction + messages[-2]["content"]
            row = Example({**row.row, "messages": messages})
        rows.append(row)
    result = dedup(rows)
    assert result.template.startswith(instruction.lower().rstrip(": "))
    check(rows, 0.8, result)
    same_outcome(dedup(rows, numba=True, method="exact"), result)


def test_minhash_gives_what_the_exact_join_gives() -> None:
    rows = random_rows(11, 1200)
    exact_join, bands = dedup(rows, method="exact"), dedup(rows, method="minhash")
    shared = {(r.index, r.kept) for r in exact_join.removed} & {(r.index, r.kept) for r in bands.removed}
    assert len(shared) >= 0.98 * len(exact_join.removed) > 200
    same_outcome(dedup(rows, method="minhash", numba=True), bands)


def test_a_reviewed_row_stays_before_an_earlier_one() -> None:
    rows = [Example(chat_row(f"one two three four five six {end}", "yes")) for end in ("", ".", "!")]
    assert dedup(rows).kept == [0]
    assert dedup(rows, reviewed=[False, False, True]).kept == [2]


def test_rows_whose_fingerprints_are_shared_give_what_the_rows_alone_give() -> None:
    """Half the rows have an instruction in common: it is a template of some selections and not of others."""
    rows, rng = random_rows(1, 120), random.Random(1)
    for at in range(0, 120, 2):
        asked = "Answer the following question in one word: " + rows[at].question
        rows[at] = Example(chat_row(asked, rows[at].answer or "yes", ""))
    known, more = Fingerprinted(rows), random_rows(101, 30)
    for size in (0, 1, 40, 90, 120):
        some = sorted(rng.sample(range(120), size))
        same_outcome(dedup(known.take(some)), dedup([rows[place] for place in some]))
    same_outcome(dedup(known.followed_by(more)), dedup([*rows, *more]))

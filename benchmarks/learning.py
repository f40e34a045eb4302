"""Effect of learning from rejects on the yield, measured on the embedded model.

    OMP_NUM_THREADS=1 python -m benchmarks.learning [--drafts 40] [--json]

Paraphrases of short diagnoses are written in two rounds. The reviewer is a parser that knows the grammar: it keeps a
draft from which the same type, finding and side are read, and rejects any other with what was lost. Between the rounds
nothing changes but what the reviews put into the prompt (kept drafts as examples, rejected ones as counter-examples).
The second round runs over seeds of its own, so does a control: the same second half of the seeds without reviews.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
import tempfile
import time
from pathlib import Path

from scipy.stats import binomtest

from chat.local.load import EMBEDDED, load
from chat.local.model import LocalModel
from curation.example import Example, chat_row
from curation.generate.reply_log import yields
from curation.generate.run import Session, Wish, generate
from curation.review import Ruling, decide_all, open_desk
from curation.store import StoredRow
from workspace.folder import Project
from workspace.settings import Settings

TYPES = {"type 1 diabetes": "E10", "type 2 diabetes": "E11", "drug induced diabetes": "E09"}
FINDINGS = {
    "retinopathy": "eye", "chronic kidney disease": "kidney", "gangrene": "vascular", "polyneuropathy": "nerve",
    "cataract": "lens", "foot ulcer": "skin", "hypoglycaemia": "low", "ketoacidosis": "acid",
}  # fmt: skip
SIDES = {"of the right side": "right", "of the left side": "left", "of both sides": "both"}
READ = {
    "type": {"1": r"type[ -]?(1|one|i)\b", "2": r"type[ -]?(2|two|ii)\b", "drug": r"drug|medic"},
    "side": {"right": r"\bright", "left": r"\bleft", "both": r"\bboth|bilateral"},
}


def seeds() -> list[Example]:
    """Every phrase of the grammar with its line, in an order that mixes them."""
    made = [
        Example(chat_row(f"{kind} with {finding} {side}", f"{TYPES[kind]} {FINDINGS[finding]} {SIDES[side]}"))
        for kind, finding, side in itertools.product(TYPES, FINDINGS, SIDES)
    ]
    return [made[(29 * place) % len(made)] for place in range(len(made))]


def facts(text: str) -> dict[str, frozenset[str]]:
    """Read a phrase's types, findings and sides."""
    low = text.lower()
    found = {what: frozenset(k for k, rule in rules.items() if re.search(rule, low)) for what, rules in READ.items()}
    found["finding"] = frozenset(name for name in FINDINGS if name in low)
    return found


def rule(row: StoredRow) -> Ruling:
    """Keep a draft that still says the same; else reject it for what was lost or added."""
    before, after = facts(str(row.meta["seed_text"])), facts(row.example.question)
    wrong = [what for what in before if before[what] != after[what]]
    return Ruling("reject", reason=f"the {wrong[0]} changed") if wrong else Ruling("approve")


def round_of(model: LocalModel, rows: list[Example], drafts: int, first: list[Example]) -> tuple[int, ...]:
    """Drafts on `rows`; where `first` is given, after a round on those was reviewed. (drafts, queued, decided, kept)"""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "rung.toml").write_text("")
        project, settings = Project(root), Settings()
        with open_desk(project, settings).store as store:
            from curation.review import Desk

            desk = Desk(store, project, settings)
            before = after = (0, 0, 0, 0)
            for part in (first, rows):
                if not part:
                    continue
                for old in store.rows(role="pool"):
                    store.exclude([old.id], "another half", "benchmark")
                ids = store.add(part, role="pool").ids
                decide_all(desk, "expert", [(name, Ruling("approve")) for name in ids], kind="person")
                made = generate(Session(project, settings, store, model, Wish(drafts)))
                waiting = store.rows(ids=made.queued)
                decide_all(desk, "parser", [(row.id, rule(row)) for row in waiting], kind="person")
                (found,) = yields(store, project)
                before, after = after, (found.drafts, found.states.total(), found.decided, found.accepted)
            return tuple(now - then for now, then in zip(after, before, strict=True))


def difference(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """95% interval of the difference of two shares (hits, n), the other minus the one: Newcombe 1998, method 10."""
    (a, b), (near, far) = (
        (hits / n for hits, n in (one, other)),
        (binomtest(*each).proportion_ci(method="wilson") for each in (one, other)),
    )
    return b - a - math.hypot(b - far.low, near.high - a), b - a + math.hypot(far.high - b, a - near.low)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drafts", type=int, default=36)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    model = LocalModel(load(EMBEDDED, threads=1))
    every = seeds()
    half = len(every) // 2
    control = round_of(model, every[half:], options.drafts, [])
    learnt = round_of(model, every[half:], options.drafts, every[:half])
    table = {}
    for name, (drafts, queued, decided, kept) in (("without reviews", control), ("after reviews", learnt)):
        table[name] = {"drafts": drafts, "queued": queued, "decided": decided, "kept": kept}
    low, high = difference((control[3], control[0]), (learnt[3], learnt[0]))
    table["difference of kept drafts"] = {"low": low, "high": high}
    table["seconds"] = {"all": time.monotonic() - started}
    if options.json:
        print(json.dumps(table, indent=1))
        return 0
    for name, each in list(table.items())[:2]:
        share = f"{each['kept'] / each['drafts']:.0%} of all"
        print(f"{name:16} {each['drafts']:3} drafts, {each['queued']:3} queued, {each['kept']:3} kept: {share}")
    print(f"difference 95%: {low:+.0%} to {high:+.0%}   ({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

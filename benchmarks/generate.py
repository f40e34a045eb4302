"""Items per CPU second: one at a time with plain `generate` against the engine, the same prompts and the same tokens.

    OMP_NUM_THREADS=1 python -m benchmarks.generate [--items 24] [--json]

The bars are 5x for static few-shot, 5x for base and 2x for retrieved few-shot. Exit 1 where one is missed or a token
differs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time

from chat.local.decode import plain_generate
from chat.local.load import EMBEDDED, load
from chat.local.model import LocalModel
from chat.protocols import Ask

TYPES = {"T1DM": "E10", "DM2": "E11", "secondary DM": "E08", "drug-induced DM": "E09", "other DM": "E13"}
FINDINGS = {"NPDR": "eye", "PDR": "eye", "CKD": "kidney", "gangrene": "vascular", "polyneuropathy": "nerve"}
SIDES = {"OD": "right", "OS": "left", "bilat": "both", "": "none"}
SHORT = "Answer with the coding line: category, system, side."
LONG = SHORT + " Categories are E08, E09, E10, E11 and E13. Write nothing else. Here are examples of the house style."
BARS = {"static few-shot": 5.0, "base": 5.0, "retrieved few-shot": 2.0}


def rows() -> list[tuple[str, str]]:
    """All phrases of a small fixed grammar with their lines, in an order that mixes them."""
    made = [
        (f"{kind} w/ {finding} {side}".strip(), f"{TYPES[kind]} {FINDINGS[finding]} {SIDES[side]}")
        for kind, finding, side in itertools.product(TYPES, FINDINGS, SIDES)
    ]
    return [made[(37 * place) % len(made)] for place in range(len(made))]


def turns(system: str, examples: list[tuple[str, str]], phrase: str) -> tuple[dict[str, str], ...]:
    shown = [
        {"role": role, "content": text}
        for question, answer in examples
        for role, text in (("user", question), ("assistant", answer))
    ]
    return ({"role": "system", "content": system}, *shown, {"role": "user", "content": phrase})


def arms(items: int) -> dict[str, list[Ask]]:
    made = rows()
    test, train = made[:items], made[items:]
    near = {
        phrase: sorted(train, key=lambda row: -len(set(row[0].split()) & set(phrase.split())))[:3] for phrase, _ in test
    }
    return {
        "static few-shot": [Ask(turns(LONG, train[:12], phrase), 24) for phrase, _ in test],
        "base": [Ask(turns(SHORT, [], phrase), 24) for phrase, _ in test],
        "retrieved few-shot": [Ask(turns(SHORT, near[phrase], phrase), 24) for phrase, _ in test],
    }


def measure(model: LocalModel, asks: list[Ask]) -> dict[str, float | int]:
    started = time.process_time()
    plain = [plain_generate(model.loaded, ask) for ask in asks]
    slow = time.process_time() - started
    started = time.process_time()
    replies = model.answer(asks)
    fast = time.process_time() - started
    tokenizer = model.loaded.tokenizer
    same = sum(
        tokenizer.decode(tokens, skip_special_tokens=True) == reply.text
        for tokens, reply in zip(plain, replies, strict=True)
    )
    return {
        "items": len(asks),
        "prompt_tokens": round(sum(reply.input_tokens for reply in replies) / len(asks)),
        "answer_tokens": round(sum(reply.output_tokens for reply in replies) / len(asks)),
        "one_at_a_time": len(asks) / slow,
        "engine": len(asks) / fast,
        "ratio": slow / fast,
        "identical": same,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = LocalModel(load(EMBEDDED, threads=1))
    plain_generate(model.loaded, Ask(turns(SHORT, [], "T1DM"), 4))
    table = {arm: measure(model, asks) for arm, asks in arms(options.items).items()}
    if options.json:
        print(json.dumps(table, indent=1))
    else:
        print(f"{'items per CPU second':22}{'tokens':>8}{'plain':>8}{'engine':>8}{'ratio':>8}{'bar':>6}  identical")
        for arm, row in table.items():
            print(
                f"{arm:22}{row['prompt_tokens']:8}{row['one_at_a_time']:8.2f}{row['engine']:8.2f}"
                f"{row['ratio']:7.1f}x{BARS[arm]:5.0f}x  {row['identical']} of {row['items']}"
            )
    good = all(row["ratio"] >= BARS[arm] and row["identical"] == row["items"] for arm, row in table.items())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

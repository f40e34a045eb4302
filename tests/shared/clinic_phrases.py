"""Phrases of a clinic and their lines: small words of which many rows can be made."""

from __future__ import annotations

import random

TYPES = ("T1DM", "T2DM", "drug-induced DM", "other DM")
FINDINGS = ("CKD", "nephropathy", "PDR", "NPDR", "DME", "gangrene", "PAD", "foot ulcer", "gastroparesis", "neuralgia")
SIDES = ("OD", "OS", "OU", "eye NOS")


def phrases(count: int, seed: int) -> list[str]:
    """Different phrases of a clinic, none of them twice."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [
            chance.choice(TYPES),
            chance.choice(FINDINGS),
            chance.choice(SIDES),
            f"since {chance.randrange(1950, 2020)}",
        ]
        chance.shuffle(parts)
        found[" ".join(parts)] = None
    return list(found)


def line_of(phrase: str) -> str:
    """Return the right answer: type and side."""
    kind = next(name for name in TYPES if name in phrase)
    side = next(name for name in SIDES if name in phrase)
    return f"E1{TYPES.index(kind)} {side}"

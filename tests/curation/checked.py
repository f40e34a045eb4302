"""Rows with planted faults."""

from __future__ import annotations

import json
import random

WORDS = (
    "river", "garden", "window", "letter", "market", "bridge", "captain", "silver",
    "winter", "summer", "engine", "basket", "candle", "mirror", "forest",
)  # fmt: skip


def text(rng, words=24):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def row(question, answer, **other):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **other}


def lines(path, rows, *more):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows) + "".join(more))
    return path


def faulty_rows():
    """Thirty sound rows, then an exact and a near copy, a contradiction, a phone number and a key."""
    rng = random.Random(1)
    sound = [row(text(rng), f"the answer number {i} is right") for i in range(30)]
    question = sound[4]["messages"][0]["content"]
    return [
        *sound,
        sound[2],
        row(sound[3]["messages"][0]["content"] + " today", "the answer number 3 is right"),
        row(question, "something else entirely"),
        row("call +44 20 7946 0958 " + text(rng), "it is done"),
        row("AKIAIOSFODNN7EXAMPLE " + text(rng), "it is done"),
    ]

"""Rows, and files of them."""

import json
import random

from curation.example import Example, chat_row
from curation.rows import read_rows

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
SOUND = json.dumps({"messages": TURNS})


def rows_of(path, fmt="auto", **more):
    return list(read_rows(path, fmt, **more))


def write(path, *lines):
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n")
    return path


def talk(*roles, **change):
    turns = [{"role": role, "content": f"{role} {i}"} for i, role in enumerate(roles)]
    turns[-1].update(change)
    return json.dumps({"messages": turns})


WORDS = (
    "river", "garden", "window", "letter", "market", "bridge", "captain", "silver",
    "winter", "summer", "engine", "basket", "candle", "mirror", "forest",
)  # fmt: skip


row = chat_row


def text(rng, words=24):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def lines(path, rows, *more):
    """A file of these rows or examples, and more lines; its path."""
    given = (each.row if isinstance(each, Example) else each for each in rows)
    path.write_text("".join(json.dumps(each) + "\n" for each in given) + "".join(more))
    return path


_rng = random.Random(1)
_sound = [row(text(_rng), f"the answer number {i} is right") for i in range(30)]
FAULTY = [
    *_sound,
    _sound[2],
    row(_sound[3]["messages"][0]["content"] + " today", "the answer number 3 is right"),
    row(_sound[4]["messages"][0]["content"], "something else entirely"),
    row("call +44 20 7946 0958 " + text(_rng), "it is done"),
    row("AKIAIOSFODNN7EXAMPLE " + text(_rng), "it is done"),
]
"""Thirty sound rows, then an exact and a near copy, a contradiction, a phone number and a key."""

"""Rows with planted faults, and `rung` run in this process."""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
from typing import NamedTuple

from rung.cli import main

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


def rung(*command, cwd=".", code=None):
    """Run the command in this process: its exit code and what it wrote."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["rung", *map(str, command)]
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            sys.argv = before
    assert code in (None, status), (status, out.getvalue(), err.getvalue())
    return Done(status, out.getvalue(), err.getvalue())


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


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

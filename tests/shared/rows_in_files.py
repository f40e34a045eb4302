"""Rows, and files of them."""

from __future__ import annotations

import json

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
    if turns:
        turns[-1].update(change)
    return json.dumps({"messages": turns})

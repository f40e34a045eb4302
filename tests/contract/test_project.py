"""A project from import to freeze, for scripts; and what may leave the machine."""

from __future__ import annotations

NAMES = ("amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heath")


def begun(rung, lines, row, pool=4, test=2):
    assert rung("init", ".").code == 0
    rows = [row(f"{a} {b} note about the {b} in {a} {n} of {b}", f"L{n % 2}") for n, (a, b) in enumerate(pairs())]
    lines("pool.jsonl", rows[:pool])
    lines("test.jsonl", rows[pool : pool + test])
    assert rung("data", "import", "pool.jsonl").code == 0
    assert rung("data", "import", "test.jsonl", "--as", "test").code == 0


def pairs():
    return [(a, b) for a in NAMES for b in NAMES if a < b]


def test_nothing_leaves_where_the_answer_forbids_it(rung, tmp_path, lines, row, loopback):
    """A proxy on this machine stands for the world outside: it must not see one request."""
    begun(rung, lines, row)
    outside = {"HTTP_PROXY": loopback.url, "HTTPS_PROXY": loopback.url, "ALL_PROXY": loopback.url}
    outside |= {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "NO_PROXY": ""}
    ask = ("data", "generate", "--count", "1", "--yes", "--json", "--model", "m", "--provider")
    for answer in ("no_external_api", "no_training"):
        (tmp_path / "answers.toml").write_text(f'privacy = "{answer}"\n')
        for place in ("http://models.example.com/v1", "http://127.0.0.1.example.com/v1"):
            ran = rung(*ask, "openai", "--base-url", place, **outside)
            assert ran.code == 1
            assert answer in ran.error["message"]
            assert "--provider local" in ran.error["hint"]
    assert not loopback.requests

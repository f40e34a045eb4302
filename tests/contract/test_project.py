"""A project from import to freeze, for scripts; and what may leave the machine."""

from __future__ import annotations

import hashlib
import json

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


def test_review_for_scripts(rung, tmp_path, lines, row):
    begun(rung, lines, row)

    def following(who):
        return rung("review", "next", "--reviewer", who, "--json").json

    def decide(item, who, *what):
        return rung("review", "decide", item["id"], "--token", item["token"], "--reviewer", who, *what)

    first = following("ann")
    assert first["source"] == "test.jsonl:1"
    assert {"id", "token", "messages", "source", "guideline", "findings"} <= set(first)
    other = following("bob")
    assert other["id"] != first["id"]
    assert decide({**first, "token": other["token"]}, "ann", "approve").code == 1
    assert decide(first, "bob", "approve").code == 1
    assert decide(first, "ann", "aprove").code == 2
    assert decide(first, "ann", "approve").code == 0
    assert decide(first, "ann", "reject").code == 1
    assert rung("review", "undo", first["id"], "--reviewer", "ann").code == 0
    (tmp_path / "new.txt").write_text("L7\n")
    assert decide(other, "bob", "edit", "--text-file", "new.txt").code == 0
    states = rung("review", "status", "--json").json["states"]
    assert set(states) == {"pending", "leased", "approved", "edited", "rejected", "skipped", "unsure"}
    assert (states["pending"], states["edited"]) == (5, 1)


def test_from_review_to_a_frozen_dataset(rung, tmp_path, lines, row, monkeypatch):
    monkeypatch.setenv("RUNG_REVIEW__SAMPLE", "2")
    begun(rung, lines, row, pool=20, test=1)
    assert rung("data", "freeze").code == 1
    assert not (tmp_path / "datasets" / "v001").exists()
    seen = []
    while (item := rung("review", "next", "--reviewer", "ann", "--json").json)["id"]:
        verdict = "skip" if not seen else "approve"
        seen.append(item["id"])
        decided = rung("review", "decide", item["id"], "--token", item["token"], "--reviewer", "ann", verdict)
        assert decided.code == 0
    assert item["waiting"] == 0
    assert (len(seen), seen[0]) == (4, seen[-1])
    assert rung("data", "freeze", "--json").code == 0
    folder = tmp_path / "datasets" / "v001"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {"schema_version", "created_at", "made_from"} <= set(manifest)
    for split in manifest["splits"].values():
        assert hashlib.sha256((folder / split["file"]).read_bytes()).hexdigest() == split["sha256"]
    assert manifest["splits"]["test"]["rows"] == 1
    assert (folder / "README.md").exists()
    assert "ann" in rung("why", seen[0]).out


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

"""Commands without a project: advice, estimates, conversion; and what may not leave the machine."""

import json
import random

from curation.example import chat_row as row


def test_the_same_answers_give_the_same_bytes(rung, tmp_path):
    answers = {"task": "classification", "prompting": "insufficient", "prompt_effort_days": 7, "examples": 900}
    answers |= {"few_shot": "insufficient", "citations": False, "latency": "unknown", "gpu_memory_gb": 24.0}
    turned = dict(reversed(answers.items()))
    stamped = turned | {"answered": {"task": {"by": "Ann", "at": "2026-01-01", "from": "said"}}}
    (tmp_path / "a.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in turned.items()))
    (tmp_path / "b.json").write_text(json.dumps(stamped))
    said = ("--as-of", "2026-11-25", "--json", "--answers")
    ran = [rung("advise", *said, "a.toml"), rung("advise", *said, "b.json", PYTHONHASHSEED="7")]
    ran += [rung("advise", *said, "-", given=json.dumps(answers | {"wants": "unknown"}))]
    assert [each.code for each in ran] == [0, 0, 0]
    assert len({each.out for each in ran}) == 1
    found = ran[0].json
    change = found["would_change"][0]
    other = rung("advise", *said, "-", given=json.dumps(answers | {change["question"]: change["to"]})).json
    assert [other[key] for key in ("next_step", "destination")] == [change["next_step"], change["destination"]]
    assert all(isinstance(reason["source"], list) and reason["source"] for reason in found["reasons"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.toml", "b.json"]


def test_there_and_back_nothing_is_lost(rung, tmp_path, lines):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tools = [{"role": "user", "content": "w?"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    tools += [{"role": "tool", "content": "42", "tool_call_id": "1"}, {"role": "assistant", "content": "42"}]
    rows = [row("q \u00e9\u2028", "a\n b", "be brief", meta={"k": [1, 2.5, None]}), {"messages": tools, "tools": [1]}]
    rows += [{"messages": [{"role": "user", "content": "what"}, {"role": "assistant", "content": "cat", "weight": 1}]}]
    lines("in.jsonl", rows)
    for target in ("sharegpt", "prompt_completion"):
        assert rung("data", "convert", "in.jsonl", "-o", "there", "--to", target).code == 0
        assert rung("data", "convert", "there", "-o", "back", "--json").json["written"] == 3
        assert [json.loads(line) for line in (tmp_path / "back").read_text().split("\n") if line] == rows
    ran = rung("data", "convert", "in.jsonl", "-o", "cut", "--to", "alpaca", "--json")
    assert (ran.code, len(ran.error["problems"]), (tmp_path / "cut").exists()) == (2, 3, False)
    chosen = [{"prompt": "q", "chosen": "good", "rejected": "bad", "score": random.Random(1).random()}]
    lines("pref.jsonl", chosen)
    assert rung("data", "convert", "pref.jsonl", "-o", "same", "--to", "preference").code == 0
    assert json.loads((tmp_path / "same").read_text()) == chosen[0]


def test_nothing_leaves_where_the_answer_forbids_it(rung, tmp_path, lines, loopback):
    """A proxy on this machine stands for the world outside: it must not see one request."""
    assert rung("init", ".").code == 0
    for role in ("pool", "test"):
        lines("rows.jsonl", [row(f"{each} note about the {each} of the {role}", each) for each in ("amber", "birch")])
        assert rung("data", "import", "rows.jsonl", "--as", role).code == 0
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

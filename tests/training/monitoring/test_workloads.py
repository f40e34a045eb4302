"""`rung advise --logs`: the workloads of a log, and the rule that says what to do with each."""

import json

import pytest
from in_shell import rung

ROUTER = "You route tickets of ACME. Answer with one label: billing, shipping or refund. Never explain your choice."
WRITER = "You are the writing assistant of {}. Rewrite the text in formal English and keep every fact as it is."


def call(n, text, answer="Fine.", system="", model="claude-opus-4-7", **more):
    asked = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": text}]
    choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    at = f"2026-11-{1 + n % 10:02d}T10:00:00Z"
    return {
        "id": f"c{n}",
        "created_at": at,
        "model": model,
        "messages": asked,
        "choices": [choice],
        "usage": usage,
    } | more


def advised(folder, calls, *options, code=0):
    file = folder / "log.jsonl"
    file.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in calls))
    done = rung("advise", "--logs", file, "--json", *options, cwd=folder, code=code)
    return json.loads(done.stdout)


def test_nothing_one_and_all_the_same(tmp_path):
    found = advised(tmp_path, [])
    assert (found["calls"], found["workloads"]) == (0, [])
    [one] = advised(tmp_path, [call(1, "Hello?")])["workloads"]
    assert (one["calls"], one["advice"], one["rules"][0]["id"]) == (1, "keep", "log-too-few")
    assert one["calls_per_day"] is None and one["usd_per_month"] is None
    assert list(tmp_path.iterdir()) == [tmp_path / "log.jsonl"]
    assert rung("advise", "--logs", tmp_path / "log.jsonl", cwd=tmp_path).returncode == 0
    [one] = advised(tmp_path, [call(n, "What are your opening hours?") for n in range(300)])["workloads"]
    assert (one["advice"], one["rules"][0]["id"], one["answers"]) == ("cache", "log-repeats", 1)
    assert one["repeats"] == pytest.approx(299 / 300, abs=1e-4)
    assert one["rules"][0]["source"]
    cost = 300 * (1000 * 5 + 100 * 25) / 1e6
    assert one["usd"] == pytest.approx(cost)
    assert one["usd_per_month"] == pytest.approx(cost / 9 * 365.25 / 12, abs=0.01)


def test_mixed_workloads_are_told_apart_by_template(tmp_path):
    words = [f"word{n}" for n in range(4000)]
    routed = [call(n, " ".join(words[9 * n : 9 * n + 9]), "refund", ROUTER) for n in range(220)]
    written = [
        call(n, " ".join(words[7 * n + 3 : 7 * n + 10]), f"text {n}", WRITER.format(words[n])) for n in range(150)
    ]
    asked = [
        call(n, f"Translate the following sentence into German please: {words[n]}", f"Wort {n}", model="unpriced-1")
        for n in range(130)
    ]
    free = [call(n, " ".join(words[5 * n : 5 * n + 5]), f"so {n}", feedback={"rating": "down"}) for n in range(120)]
    manual = " ".join(f"Rule {n} of the manual is that page {n} counts." for n in range(200))
    begun = [call(n, f"Question {n}", f"text {n}", manual) for n in range(110)]
    *found, long = advised(tmp_path, [*routed, *written, *asked, *free, *begun])["workloads"]
    assert [each["calls"] for each in (*found, long)] == [220, 150, 130, 120, 110]
    assert (long["rules"][0]["id"], long["prefix_share"] > 0.9) == ("log-prefix", True)
    assert [each["narrow"] for each in found] == [True, True, True, False]
    assert [each["rules"][0]["id"] for each in found] == ["log-cheap", "log-cheap", "log-keep", "log-fails"]
    assert {rule["id"] for rule in found[0]["rules"]} >= {"log-closed-set", "log-cheaper"}
    assert found[0]["name"] and ROUTER.startswith(found[0]["name"].rstrip(" .…"))
    assert found[2]["usd"] is None and "unpriced-1" in found[2]["unknown"]


def test_high_volume_of_one_task_is_a_candidate(tmp_path):
    calls = [call(n, f"Ticket {n} word{7 * n}", f"Answer {n}", ROUTER, response_cost=20.0) for n in range(2_000)]
    calls = [each | {"usage": {"prompt_tokens": 90_000, "completion_tokens": 9_000}} for each in calls]
    [one] = advised(tmp_path, calls)["workloads"]
    assert (one["advice"], one["rules"][0]["id"], one["pays"]) == ("tune", "log-candidate", True)
    assert one["usd"] == 40_000


def test_a_hostile_log_shows_no_personal_data_and_no_fault(tmp_path):
    system = "Mail anna.lee@example.org or call +49 170 1234567 if in doubt, and \x1b[2J answer politely in English."
    found = advised(tmp_path, [*(call(n, f"Question {n}", system=system) for n in range(30)), "{broken", '{"a": 1}'])
    assert found["aside"] == 2
    assert "anna" not in json.dumps(found) and "1234567" not in json.dumps(found)
    assert "\x1b" not in rung("advise", "--logs", tmp_path / "log.jsonl", cwd=tmp_path).stdout
    clash = advised(tmp_path, [], "--save", code=2)
    assert "--logs" in clash["error"]["message"]

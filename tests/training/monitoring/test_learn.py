"""`rung watch learn`: order, duplicates, the release that an import was made with, all or nothing."""

import json
import re
import shutil

import pytest
from as_logged import candidates, imported, learnt, litellm, measured
from clinic_phrases import line_of, phrases

from curation.example import chat_row
from curation.split.manifest import load_split
from curation.store import open_store
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.text import monitoring_text
from rung.why import answer as why
from training.monitoring.learn import in_order, read_not_learnt
from training.monitoring.requests import read_watched
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import load_settings


def test_a_small_count_takes_the_requests_in_order_and_loses_none(house: Project, write):
    known = load_split(house.datasets / "v001", "train")[0]
    fresh = phrases(9, 91)
    same = [litellm(n, known.question, str(known.answer)) for n in (3, 4, 5)]
    imported(house, write([*same, *(litellm(10 + n, text, line_of(text)) for n, text in enumerate(fresh))]))
    taken, looked = [], 0
    for _ in range(6):
        done = learnt(house, count=2)
        looked += done.looked_at
        assert done.looked_at == len(done.queued) + done.rejected.total()
        assert done.known + done.looked_at + done.left == 12
        taken.append(len(done.queued))
    assert looked == 12 and taken == [2, 2, 2, 2, 1, 0]
    assert [row.example.question for row in candidates(house).values()] == fresh[::-1], "the newest first"
    assert [each.reason for each in read_not_learnt(house)] == ["duplicate"] * 3
    figures = re.findall(r"\d+", status_of(read_facts(house)).stage("Data").reason)
    assert [*figures[:2], figures[-1]] == ["9", "9", "150"], "they are no drafts in the status"


@pytest.mark.parametrize("lack", ["failed", "cut"])
def test_a_request_that_got_an_answer_when_it_was_asked_again_is_queued_with_it(house: Project, write, lack):
    question, other = phrases(2, 91)
    broken = {"error": "timeout", "response": None} if lack == "failed" else {}
    lines = [
        litellm(1, question, "E10 good"),
        litellm(2, f"  {question.upper()}", "E10 ha", **broken),
        litellm(3, other, "E11 ha", **broken),
    ]
    if lack == "cut":
        for line in lines[1:]:
            line["response"]["choices"][0]["finish_reason"] = "length"
    imported(house, write(lines))
    learnt(house)
    rows = candidates(house)
    assert set(rows) == {"W-001:1", "W-001:3"}
    assert rows["W-001:1"].example.answer == "E10 good" and not rows["W-001:3"].example.is_answered
    assert {entry.ref: entry.reason for entry in read_not_learnt(house)} == {"W-001:2": "a row answers this already"}


def test_two_edits_of_one_question_are_linked_for_the_reviewer(house: Project, write):
    question = phrases(1, 91)[0]
    lines = [litellm(n, question, "E13 OS", metadata={"edit": edit}) for n, edit in ((1, "E10 eye"), (2, "E11 eye"))]
    imported(house, write(lines))
    done = learnt(house)
    with open_store(house, load_settings(house.settings_file, {})) as store:
        links = store.links(done.queued)
    assert len(done.queued) == 2 and [link.kind for link in links] == ["contradiction"]


def test_requests_without_a_time_keep_the_order_of_their_lines(house: Project, write):
    fresh = phrases(24, 91)
    bare = [{"id": f"c-{n}", "prompt": text, "response": "E13 OS"} for n, text in enumerate(fresh[:12])]
    imported(house, write(bare))
    timed = [litellm(1, fresh[12], "E13 OS"), {"id": "x", "prompt": fresh[13], "response": "E13 OS"},
             litellm(0, fresh[14], "E13 OS")]  # fmt: skip
    imported(house, write(timed, "timed.jsonl"))
    refs = [each.ref for each in read_watched(house).requests]
    assert refs == [f"W-001:{n}" for n in range(1, 13)] + ["W-002:3", "W-002:1", "W-002:2"]
    assert [each.ref for each in in_order(read_watched(house).requests)] == refs[::-1]
    report = measured(house, since="2025-01-01")
    assert report.traffic.requests == 2
    assert any("13 " in note and "--since" in note for note in report.notes)


def second_release(house: Project):
    """L-002, whose prompt shows an example that L-001's does not."""
    folder = house.releases / "L-002"
    shutil.copytree(house.releases / "L-001", folder)
    release = json.loads((folder / "release.json").read_text())
    prompt = json.loads((folder / "prompt" / "prompt.json").read_text())
    prompt["examples"] = [chat_row("T2DM PDR OU", "E11 eye both")]
    (folder / "prompt" / "prompt.json").write_text(json.dumps(prompt))
    release["id"] = "L-002"
    release["files"].pop("prompt/prompt.json")
    (folder / "release.json").write_text(json.dumps(release))


def sent_to_second(question, number):
    shown = [{"role": "user", "content": "T2DM PDR OU"}, {"role": "assistant", "content": "E11 eye both"}]
    return litellm(number, "", "E13 OS", messages=[*shown, {"role": "user", "content": question}])


def test_learn_and_why_use_the_release_of_the_import_and_wait_where_it_is_gone(house: Project, write):
    second_release(house)
    questions = phrases(40, 91)
    imported(house, write([sent_to_second(text, n) for n, text in enumerate(questions)]))
    shutil.copytree(house.releases / "L-001", house.releases / "L-003")
    document = why(house, "W-001:1").document
    assert (document["release"], document["question"]) == ("L-002", questions[0])
    shutil.move(house.releases / "L-002", house.root / "L-002")
    for way in (learnt, measured, lambda house: why(house, "W-001:3")):
        with pytest.raises(Refusal, match=r"L-002.* W-001"):
            way(house)
    shutil.move(house.root / "L-002", house.releases / "L-002")
    assert len(learnt(house).queued) == 40
    row = candidates(house)["W-001:1"]
    assert row.example.question == questions[0] and row.meta["release"] == "L-002"


def test_low_ratings_are_told_of_rated_requests(house: Project, write):
    def rated(n):
        return {"metadata": {"rating": "down" if n > 400 and n % 10 == 0 else "up"}} if n % 5 == 0 else {}

    texts = phrases(600, 4)
    imported(house, write([litellm(n, f"{texts[n]} {n}", "E13 OS", **rated(n)) for n in range(600)]))
    report = measured(house)
    low = next(signal for signal in report.signals if signal.name == "low_ratings")
    assert (low.n, low.n_before, low.now, low.before) == (60, 60, 19 / 60, 0.0) and low.raised
    assert any("31.7%" in line for line in monitoring_text.lines(report))


def test_a_tool_call_is_no_error_of_form_and_no_answer_of_no_words(house: Project, write):
    call = {"id": "t", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}

    def line(n, text, finish):
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return litellm(n, text, "", response={"choices": [{"finish_reason": finish, "message": message}]})

    texts = phrases(80, 3)
    made = [line(n, text, "tool_calls") for n, text in enumerate(texts[:40])]
    said = [litellm(40 + n, text, line_of(text)) for n, text in enumerate(texts[40:])]
    imported(house, write([*made, *said, line(90, "cut", "length")]))
    signals = {signal.name: signal for signal in measured(house).signals}
    assert (signals["form_errors"].n, signals["form_errors"].now) == (41, pytest.approx(1 / 41))
    assert signals["answer_length"].n == 40 and not signals["answer_length"].raised
    assert signals["refusals"].n == 81

"""The way round: a released prompt is asked, its log comes in whole or not at all, drift is seen, rows are learnt."""

import json
import re
import shutil
from pathlib import Path

import pytest
from as_logged import candidates, imported, learnt, litellm, measured
from clinic import line_of, phrases
from in_shell import rung
from vouched import edit

from curation.example import chat_row
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from curation.split.manifest import load_split, read_manifest
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.text import monitoring_text
from rung.why import answer as why
from training.monitoring.drift import DriftReport, report_file
from training.monitoring.learn import in_order, read_not_learnt
from training.monitoring.requests import read_watched
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import load_settings


def test_nothing_is_measured_or_learnt_before_a_release(project: Project):
    for words in (("watch", "report"), ("watch", "learn")):
        done = rung(*words, cwd=project.root)
        assert done.returncode == 1 and "rung release --to prompt" in done.stderr, done.stderr


def test_quiet_production_raises_nothing_and_another_ward_does(house: Project, ask, write):
    assert "watch" in status_of(read_facts(house)).command
    quiet = [ask(text, line_of(text)) for text in phrases(60, 77)]
    imported(house, write(quiet, "quiet.jsonl"))
    report = measured(house)
    found = {signal.name: signal for signal in report.signals}
    assert report.raised == [] and report == read_artefact(report_file(house), DriftReport)
    assert found["question_length"].before == found["question_length"].now, "the prompt's own message is taken off"
    assert found["judge"].raised is None and "[judge]" in found["judge"].why
    assert found["cost"].raised is None and found["cost"].why
    assert report.any_alarm == pytest.approx(0.01 * sum(s.raised is not None for s in report.signals))
    ward = [
        ask(f"Referral letter, please see to this patient again: {text.lower()}", "I'm sorry, I cannot say.")
        for text in phrases(60, 78)
    ]
    imported(house, write(ward, "ward.jsonl"))
    report = measured(house)
    raised = {signal.name for signal in report.raised}
    assert {"question_length", "answer_length", "new_words", "form_errors", "refusals"} <= raised
    assert any("referral" in text for text in next(s for s in report.signals if s.name == "new_words").evidence)


def test_what_people_said_comes_first_and_what_fails_keeps_its_reason(house: Project, ask, write):
    test = load_split(house.datasets / "v001", "test")[0]
    train = load_split(house.datasets / "v001", "train")[0]
    fresh = phrases(12, 91)
    log = [ask(text, line_of(text)) for text in fresh[:6]]
    low = {**ask(fresh[6], "E13 OS"), "feedback": {"rating": "down", "comment": "call +49 170 1234567"}}
    edited = {**ask(fresh[7], "E13 OS"), "feedback": {"edit": line_of(fresh[7])}}
    failed = {
        "id": "f",
        "request": {"messages": [{"role": "user", "content": fresh[8]}]},
        "error": {"message": "timeout"},
    }
    leaks = ask(test.question, "anything at all")
    beside = ask(f"{train.question} today", "E10 eye")
    again = ask(train.question, str(train.answer))
    against = ask(train.question, "E13 nowhere")
    fixed = {**ask(train.question, "E13 nowhere"), "edit": "E19 OU"}
    imported(house, write([*log, low, edited, failed, leaks, beside, again, against, fixed]))
    done = learnt(house, count=4)
    assert done.why == {"failed": 1, "edited by its user": 2, "rated low": 1} and done.rejected.total() == 0
    rest = learnt(house)
    assert rest.why == {"not judged by anyone": 7}
    assert rest.rejected == {"leaks the test set": 1, "duplicate": 1, "a row answers this already": 1}
    kept_out = {each.reason: each.evidence for each in read_not_learnt(house)}
    assert set(kept_out) == set(rest.rejected)
    assert str(kept_out["duplicate"]["row"]).startswith("r-") and kept_out["leaks the test set"]["kind"] == "exact"
    assert learnt(house).looked_at == 0
    rows = {row.example.question: row for row in candidates(house).values()}
    settings = load_settings(house.settings_file, {})
    with open_desk(house, settings).store as store:
        near = store.links([rows[train.question].id])
        first = store.rows(state="pending")
    assert len(rows) == 11
    assert [m["role"] for m in rows[fresh[6]].example.messages] == ["user", "assistant"], "the prompt is not the row's"
    assert rows[fresh[6]].source == "watch/W-001:7" and rows[fresh[6]].meta["comment"] == "call [PHONE]"
    assert rows[fresh[7]].example.answer == line_of(fresh[7]) and rows[fresh[7]].meta["answered"] == "E13 OS"
    assert not rows[fresh[8]].example.is_answered
    assert [link.kind for link in near] == ["contradiction", "short_near"]
    assert all(row.meta["priority"] == 1 for row in first[:4])
    edits = [litellm(n, phrases(13, 91)[12], "E13 OS", metadata={"edit": edit}) for n, edit in enumerate("AB")]
    imported(house, write(edits, "edits.jsonl"))
    two = learnt(house).queued
    with open_desk(house, settings).store as store:
        assert [link.kind for link in store.links(two) if {link.row, link.other} == {*two}] == ["contradiction"]


def test_learnt_rows_are_reviewed_frozen_as_v002_and_known_to_why(house: Project, ask, write):
    fresh = phrases(20, 91)
    log = [ask(text, "E13 OS") for text in fresh]
    log[3]["edit"] = line_of(fresh[3])
    imported(house, write(log))
    settings = load_settings(house.settings_file, {})
    before = why(house, "W-001:4").document
    assert before["candidate"] is None and before["train_rows"]
    done = learnt(house)
    assert len(done.queued) == 20
    with pytest.raises(Refusal, match="20 "):
        freeze(house, settings, actor="sam")
    desk = open_desk(house, settings)
    rows = [(row, line_of(row.example.question)) for row in desk.store.rows(ids=done.queued)]
    said = [Ruling("approve") if row.example.answer == right else Ruling("edit", text=right) for row, right in rows]
    decide_all(desk, "mo", [(row.id, each) for (row, _), each in zip(rows, said, strict=True)], kind="person")
    desk.store.close()
    second = freeze(house, settings, actor="sam")
    assert second.folder.name == "v002"
    manifest = read_manifest(second.folder)
    mine = [row for row in manifest.rows if str(row["source"]).startswith("watch/W-001:")]
    assert len(mine) == 20 and {row["reviewer"] for row in mine} == {"mo"}
    assert not [row for row in mine if row["split"] == "test"]
    document = why(house, "W-001:4").document
    assert document["candidate"]["state"] in ("approved", "edited") and document["candidate"]["reviewer"] == "mo"
    assert document["frozen_in"][0].startswith("v002, ")
    assert all(row["reviewer"] == "dana" and row["source"] is not None for row in document["train_rows"])
    chain = "\n".join(why(house, document["candidate"]["id"]).lines)
    assert "watch/W-001:4" in chain and "L-001" in chain


def test_row_text_cannot_act_on_the_page_and_one_that_cannot_be_written_leaves_the_older_report(
    house: Project, write, tmp_path
):
    hostile = "\x1b[31m [red]x[/] <script>alert(1)</script> \u202eevil"
    imported(house, write([litellm(n, f"{text} {hostile}", "I'm sorry.") for n, text in enumerate(phrases(40, 5))]))
    report, page = house.root / "watch" / "report.json", house.root / "watch.html"
    for place in (tmp_path, Path("/dev/full"), tmp_path / "log.jsonl" / "page.html"):
        done = rung("watch", "report", "--html", str(place), cwd=house.root)
        assert done.returncode == 2 and "Traceback" not in done.stderr and not report.exists(), done.stderr
    assert rung("watch", "report", "--html", page, cwd=house.root).returncode == 1
    html, before = page.read_text(), report.read_bytes()
    assert "alert" in html and "<script" not in html and "\x1b" not in html and "\u202e" not in html
    assert "http" not in html.replace("http-equiv", ""), "nothing is fetched"
    assert rung("watch", "report", "--html", "/dev/full", cwd=house.root).returncode == 2
    assert report.read_bytes() == before


def test_what_was_learnt_stands_whole_or_not_at_all_and_a_damaged_list_of_what_was_kept_out_is_told_by_line(
    house: Project, write
):
    """Something stands in the way of not_learnt.jsonl: no row is queued, and the next try takes them all."""
    text = phrases(2, 91)
    log = write([litellm(n, text[n % 2], line_of(text[n % 2])) for n in range(3)])
    with writer_lock(house.root / "watch" / ".lock", "Another"):
        for command in (("import", log), ("learn",)):
            assert "already running" in rung("watch", *command, cwd=house.root, code=1).stderr
    imported(house, log)
    path = house.root / "watch" / "not_learnt.jsonl"
    (path / "x").mkdir(parents=True)
    done = rung("watch", "learn", cwd=house.root, code=2)
    assert "Traceback" not in done.stderr and candidates(house) == {}
    shutil.rmtree(path)
    done = rung("watch", "learn", cwd=house.root)
    assert len(candidates(house)) == 2, done.stderr
    whole = path.read_bytes()
    found = json.loads(rung("why", "W-001", "--json", cwd=house.root).stdout)
    assert (found["import"]["release"], len(found["candidates"]), found["kept_out"]) == ("L-001", 2, 1)
    assert "W-001" in rung("why", "W-007", cwd=house.root).stderr
    path.write_bytes(whole[:30])
    found = json.loads(rung("why", "W-001", "--json", cwd=house.root).stdout)
    assert (len(found["candidates"]), found["kept_out"]) == (2, 0), "half a line was never said"
    for bad in (b"{\n", b"[]\n", b'{"ref": "W-001:2"}\n', b'{"ref": 1, "hash": "", "reason": "", "evidence": 3}\n'):
        path.write_bytes(whole + bad)
        for command in (("watch", "learn"), ("why", "W-001"), ("why", "W-001:2")):
            done = rung(*command, cwd=house.root)
            assert "not_learnt.jsonl line 2" in done.stderr and "Traceback" not in done.stderr, done.stderr
            assert path.read_bytes() == whole + bad


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


def test_learn_and_why_use_the_release_of_the_import_and_wait_where_it_is_gone(house: Project, write):
    """L-002, whose prompt shows an example that L-001's does not."""
    folder = Path(shutil.copytree(house.releases / "L-001", house.releases / "L-002"))
    shown = chat_row("T2DM PDR OU", "E11 eye both")
    edit(folder / "prompt" / "prompt.json", examples=[shown])
    files = json.loads((folder / "release.json").read_text())["files"]
    edit(
        folder / "release.json", id="L-002", files={name: files[name] for name in files.keys() - {"prompt/prompt.json"}}
    )
    questions = phrases(40, 91)
    turns = [[*shown["messages"], {"role": "user", "content": text}] for text in questions]
    imported(house, write([litellm(n, "", "E13 OS", messages=asked) for n, asked in enumerate(turns)]))
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
        choices = [{"finish_reason": finish, "message": message}]
        return litellm(n, text, "", response={"choices": choices, "usage": {"prompt_tokens": 9}})

    texts = phrases(80, 3)
    made = [line(n, text, "tool_calls") for n, text in enumerate(texts[:40])]
    said = [litellm(40 + n, text, line_of(text)) for n, text in enumerate(texts[40:])]
    imported(house, write([*made, *said, line(90, "cut", "length")]))
    report = measured(house)
    signals = {signal.name: signal for signal in report.signals}
    assert "Tokens" not in "".join(monitoring_text.lines(report)), "those of the answers were not logged"
    assert (signals["form_errors"].n, signals["form_errors"].now) == (41, pytest.approx(1 / 41))
    assert signals["answer_length"].n == 40 and not signals["answer_length"].raised
    assert signals["refusals"].n == 81

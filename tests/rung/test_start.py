"""Starting a project, asking how far it is and why, looking for what is wrong."""

import json
import os
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from in_process import rung
from rows_in_files import lines, row

from curation.example import Example, chat_row
from curation.store import open_store
from rung.start import FILES, PROMPT_FILE, start_project
from rung.status.stages import read_status
from rung.why import answer
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import load_settings


def test_init_writes_what_is_missing_and_keeps_what_is_there(tmp_path):
    (tmp_path / "guideline.md").write_text("ours\n")
    started = start_project(tmp_path)
    assert started.kept == ["guideline.md"]
    assert (tmp_path / "guideline.md").read_text() == "ours\n"
    assert (tmp_path / "rung.toml").is_file()
    with pytest.raises(RungError, match="already"):
        start_project(tmp_path)


def frozen_with_answers(folder, answers, guideline=""):
    """A new project whose rows have these answers in turn, and whose test rows have one answer more; frozen twice."""
    project = start_project(folder).project
    project.settings_file.write_text('[review]\npool = "trust"\n')
    if guideline:
        project.guideline_file.write_text(guideline)
    with open_store(project, load_settings(project.settings_file)) as store:
        words = [
            f"{a}{b} {b}{a} {a}x{b}" for a in ("ba", "ce", "di", "fo", "gu", "ha") for b in ("rt", "nd", "ls", "mp")
        ]
        store.add([Example(chat_row(w, answers[n % len(answers)])) for n, w in enumerate(words)], role="train")
        store.add([Example(chat_row("now this", answers[0])), Example(chat_row("and that", "unseen"))], role="test")
    first, again = (
        json.loads(rung("data", "freeze", "--test-only", "--json", cwd=folder).stdout)["prompt_drafted_from"]
        for _ in range(2)
    )
    assert again == []
    return project, first


def test_the_first_prompt_is_drafted_from_labels_and_a_written_guideline(tmp_path):
    guideline = "A bill is about money.\n"
    project, drafted = frozen_with_answers(tmp_path, ["card", "bill"], guideline)
    said = (project.prompts / "prompt.md").read_text()
    assert drafted == ["2 labels", "guideline.md"]
    assert [line for line in said.splitlines() if line in ("bill", "card", "unseen")] == ["bill", "card"]
    assert guideline in said and "unseen" not in said
    assert [path.read_text() for path in (project.prompts / "old").iterdir()] == [FILES[PROMPT_FILE]]


def test_what_a_person_wrote_stays_and_no_template_or_long_guideline_is_drafted_from(tmp_path):
    for name, guideline in (("template", ""), ("long", "A bill is about money. " * 400)):
        project, drafted = frozen_with_answers(tmp_path / name, ["card", "bill"], guideline)
        assert drafted == ["2 labels"] and len((project.prompts / "prompt.md").read_text().splitlines()) == 3
    (tmp_path / "own" / "prompts").mkdir(parents=True)
    (tmp_path / "own" / "prompts" / "prompt.md").write_text("Mine.\n")
    project, drafted = frozen_with_answers(tmp_path / "own", ["card", "bill"])
    assert drafted == [] and (project.prompts / "prompt.md").read_text() == "Mine.\n"


@pytest.mark.cold
def test_on_a_terminal_advise_opens_the_questions(tmp_path):
    start_project(tmp_path)
    question = json.loads(rung("questions", "--json").stdout)[0]["text"]
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    command = [sys.executable, "-P", "-m", "rung", "advise"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=follower, stdout=follower, stderr=follower) as program:
        os.close(follower)
        shown = b""
        while question.encode() not in shown:
            shown += os.read(leader, 65_536)
        os.write(leader, b"\x11")
        while b"-> " not in shown:
            shown += os.read(leader, 65_536)
        assert program.wait() == 2
    os.close(leader)


def test_a_classifier_that_reaches_the_goal_is_the_end_in_every_face(tmp_path):
    start_project(tmp_path)
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "weak_effort"\nclassifier = "works"\n')
    assert re.search("Likely end +classifier", rung("advise", cwd=tmp_path).stdout)
    status = read_status(Project(tmp_path))
    advice, *later = (status.stage(name) for name in ("Advice", "Train", "Verdict"))
    assert rung(cwd=tmp_path).stdout == rung("status", cwd=tmp_path).stdout
    assert {stage.state for stage in later} == {"not_needed"} and {stage.reason for stage in later} == {advice.reason}
    assert "classifier" in rung("share", cwd=tmp_path).stdout.splitlines()[0]


@pytest.mark.parametrize("words", [("why", "r-000001"), ("why", "rows.jsonl:3"), ("status",), ("doctor",)])
def test_looking_makes_no_database(tmp_path, words):
    start_project(tmp_path)
    rung(*words, cwd=tmp_path)
    assert not (tmp_path / "rung.db").exists()


def test_why_takes_an_answer_with_its_value(tmp_path):
    assert rung("why", "task=chat", cwd=tmp_path).stdout == rung("why", "task", cwd=tmp_path).stdout


def test_the_shared_page_checks_rows_and_shows_them_masked_and_nothing_is_loaded(tmp_path):
    rows = [("Where is my card, ada@bank.example?", "card"), ("Where is my money now", "card"),
            ("Where is my money now", "transfer"), ("<script>alert(1)</script> in a question", "pin")]  # fmt: skip
    start_project(tmp_path)
    lines(tmp_path / "rows.jsonl", [row(question, answer) for question, answer in rows])
    rung("data", "import", "rows.jsonl", cwd=tmp_path, code=0)
    found = json.loads(rung("share", "--json", cwd=tmp_path, code=0).stdout)
    assert (found["rows"], found["blocking"]) == (4, 1) and len(found["missing"]) == 3
    page = (tmp_path / "share.html").read_text()
    assert "ada@bank" not in page and "<script" not in page
    assert not re.search(r'src=|url\(|<link|<iframe|href="(?!#|https://)', page)
    assert "default-src 'none'" in page
    rung("share", cwd=tmp_path, code=0)  # its own page may be replaced
    (tmp_path / "share.html").unlink()
    (tmp_path / "answers.toml").write_text('task = "klassification"\n')
    assert "answers.toml" in rung("share", cwd=tmp_path, code=2).stderr and not (tmp_path / "share.html").exists()


def test_a_report_has_words_for_arms_and_steps_and_one_that_somebody_changed_is_told_as_that(tmp_path: Path) -> None:
    arms = [{"arm": "retrieved", "score": 0.2, "n": 150}, {"arm": "classical", "score": 0.64, "n": 150}]
    advice = {"next_step": "fine_tune", "destination": "rag_and_fine_tune", "made_from": {"rulebook": "1" * 64}}
    report = tmp_path / "evaluations" / "E-001" / "report.json"
    report.parent.mkdir(parents=True)
    (tmp_path / "rung.toml").write_text("")
    (tmp_path / "decision.json").write_text(json.dumps(advice))
    report.write_text(json.dumps({"arms": arms, "made_from": {"decision.json": "0" * 64}}))
    told = "\n".join(answer(Project(tmp_path), "E-001").lines)
    assert re.search("retrieved.*20.0%.*150", told) and re.search("classifier.*64.0%.*150", told)
    assert re.search("fine-tune.*rag", told)
    odd = '{"arms": [{"arm": "base", "score": "high", "n": 1}], "made_from": {"x": 1}}'
    more = ('{"arms": [{}]}', '{"arms": [{"arm": ["x"]}]}', '{"arms": 3, "made_from": ["x"]}')
    for text in ("{", "[]", "{}", odd, *more):
        report.write_text(text)
        assert any("! " in line for line in answer(Project(tmp_path), "E-001").lines), text

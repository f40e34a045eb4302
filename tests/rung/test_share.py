"""`rung share`: one page of the project's present state, from an empty folder on."""

from __future__ import annotations

import json
import re

import pytest
from in_process import rung

from rung.start import start_project

ANSWERS = 'task = "classification"\nprompting = "weak_effort"\n'


@pytest.fixture
def folder(tmp_path):
    start_project(tmp_path)
    return tmp_path


def shared(folder, *more):
    done = rung("share", "--json", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_empty_project_has_a_page_that_names_what_is_missing_and_nothing_else_is_written(folder):
    before = {path.name for path in folder.iterdir()}
    found = shared(folder)
    assert (found["measurement"], found["verdict"], found["rows"], found["advice"]) == (None, None, None, None)
    assert len(found["missing"]) == 4
    assert {path.name for path in folder.iterdir()} == before | {"share.html"}
    page = (folder / "share.html").read_text()
    assert all(line in page for line in found["missing"])


def test_answers_alone_give_the_advice_of_today(folder):
    (folder / "answers.toml").write_text(ANSWERS)
    found = shared(folder, "-o", "for-kim.html")
    assert found["file"] == "for-kim.html" and found["rows"] is None and len(found["missing"]) == 3
    assert not (folder / "decision.json").exists()
    advice = json.loads(rung("advise", "--json", cwd=folder).stdout)
    assert found["advice"] == advice["next_step"]
    page = (folder / "for-kim.html").read_text()
    assert all(reason["rule"] in page for reason in advice["reasons"])


def test_rows_are_checked_and_shown_masked_and_nothing_is_loaded(folder):
    rows = [("Where is my card, ada@bank.example?", "card"), ("Where is my money now", "card"),
            ("Where is my money now", "transfer"), ("<script>alert(1)</script> in a question", "pin")]  # fmt: skip
    lines = [json.dumps({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})
             for question, answer in rows]  # fmt: skip
    (folder / "rows.jsonl").write_text("\n".join(lines))
    assert rung("data", "import", "rows.jsonl", cwd=folder).returncode == 0
    found = shared(folder)
    assert (found["rows"], found["blocking"]) == (4, 1) and len(found["missing"]) == 3
    page = (folder / "share.html").read_text()
    assert "ada@bank" not in page and "<script" not in page
    assert not re.search(r'src=|url\(|<link|<iframe|href="(?!#|https://)', page)
    assert "default-src 'none'" in page


def test_a_page_is_replaced_and_any_other_file_is_refused(folder):
    (folder / "notes.html").write_text("my notes")
    assert shared(folder) == shared(folder)
    for name in ("notes.html", "rung.toml", "rung.db", "guideline.md", ".", "-"):
        before = (folder / name).read_bytes() if (folder / name).is_file() else None
        done = rung("share", "-o", name, "--json", cwd=folder)
        assert done.returncode == 2 and json.loads(done.stdout)["error"]["where"] == name, name
        assert before is None or (folder / name).read_bytes() == before


def test_what_cannot_be_read_is_an_error_and_no_page(folder, tmp_path_factory):
    (folder / "answers.toml").write_text('task = "klassification"\n')
    done = rung("share", "--json", cwd=folder)
    assert done.returncode == 2 and "answers.toml" in json.loads(done.stdout)["error"]["where"]
    assert not (folder / "share.html").exists()
    outside = rung("share", cwd=tmp_path_factory.mktemp("outside"))
    assert outside.returncode == 2 and "rung init" in outside.stderr

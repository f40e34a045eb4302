"""`rung share`: one page of the project's present state."""

from __future__ import annotations

import json
import re

from in_process import rung
from rows_in_files import lines, row

from rung.start import start_project


def test_rows_are_checked_and_shown_masked_and_nothing_is_loaded(tmp_path):
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

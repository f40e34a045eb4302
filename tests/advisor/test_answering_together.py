"""Two programs that answer at once: neither writes over the other."""

from __future__ import annotations

import threading
from pathlib import Path

from advisor.answer_file import load_answers
from advisor.recording import record_measured, record_said

SAID = {
    "task": "extraction",
    "prompting": "partial",
    "prompt_effort_days": 6,
    "failure": "breaks_rules",
    "output_form": "strict",
    "breadth": "narrow",
    "privacy": "none",
    "budget": "moderate",
    "knowledge_change": "never",
    "model_access": "open",
}


def test_no_answer_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    begin = threading.Barrier(len(SAID) + 1)

    def say(key: str, value: object) -> None:
        begin.wait()
        record_said(path, {key: value}, key)

    def measure() -> None:
        begin.wait()
        record_measured(path, {"examples": 500}, "rung data import")

    threads = [threading.Thread(target=say, args=each) for each in SAID.items()] + [threading.Thread(target=measure)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = load_answers(path)
    assert answers.known() == {**SAID, "examples": 500}
    assert {key: note["by"] for key, note in answers.answered.items() if key in SAID} == {key: key for key in SAID}

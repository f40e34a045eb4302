"""The next step on ways that the shipped rules do not make, but a team's own may."""

from __future__ import annotations

from pathlib import Path

from advisor.answer_file import from_table
from advisor.decide import verdict_of
from advisor.rulefiles import load_rulebook

SKIP = """
[[skip]]
id = "team-skip"
short = "No examples here"
rung = "few_shot"
on_the_way_to = ["fine_tune"]
when = { output_form = "strict" }
because = "Because."
source = ["module-4"]
evidence = "judgement"
"""


def test_a_prompt_that_was_only_begun_is_never_followed_by_fine_tuning(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SKIP)
    book = load_rulebook(tmp_path)
    given = {"task": "extraction", "deep_specialization": True, "output_form": "strict", "budget": "moderate"}
    given |= {"examples": 5000, "reviewed_examples": 5000, "test_set": True, "model_access": "open"}
    begun = verdict_of(book, from_table({**given, "prompting": "weak_effort"}))
    assert begun.outcome == ("prompt", "prompt")
    tried = {"prompting": "insufficient", "prompt_effort_days": 6, "few_shot": "insufficient"}
    assert verdict_of(book, from_table({**given, **tried})).outcome == ("fine_tune", "fine_tune")


def test_where_nothing_covers_a_need_a_prompt_that_fell_short_is_not_where_it_ends() -> None:
    given = {"low_resource_language": True, "breadth": "general"}
    fell_short = from_table({**given, "prompting": "insufficient", "prompt_effort_days": 6})
    found = verdict_of(load_rulebook(), fell_short)
    assert [need.id for need in found.unmet] == ["low-resource"] and found.outcome == ("few_shot", "few_shot")

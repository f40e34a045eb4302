"""Tuning as a service: dated, sourced, and honest about what is over."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from in_shell import rung

from advisor.dated_tables import managed
from workspace.shipped_rules import rule_file

READ = date(2026, 11, 25)


def test_every_provider_has_advice_a_date_and_listed_sources() -> None:
    listed = {entry["id"] for entry in rule_file("sources.toml")["source"]}
    found = managed(READ)
    assert {one.id for one in found} >= {"openai", "together", "vertex", "bedrock", "azure", "fireworks"}
    for one in found:
        assert one.advice and one.form and one.price and not one.old
        assert one.source and set(one.source) <= listed


def test_what_closes_is_gone_after_its_last_day_and_stands_last() -> None:
    before, after = ({one.id: one for one in managed(day)} for day in (date(2027, 1, 6), date(2027, 1, 7)))
    assert before["openai"].status == "closing" and after["openai"].status == "gone"
    assert [one.status for one in managed(READ)] == sorted(
        (one.status for one in managed(READ)), key=("open", "closing", "gone").index
    )


def test_an_old_entry_says_that_it_is_old() -> None:
    assert all(one.old for one in managed(date(2027, 6, 1)))


def test_it_works_without_a_project(tmp_path: Path) -> None:
    document = json.loads(rung("plan", "--managed", "--json", cwd=tmp_path).stdout)
    assert document["training_tokens"] is None and len(document["providers"]) == len(managed(READ))

"""Dated tables: a decision is looked at again when they change; tuning as a service says what is over."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from clinic import ANSWERS
from in_shell import rung

from advisor.dated_tables import life_faults, life_of, managed
from advisor.rulefiles import load_rulebook
from workspace.errors import InputError, RungError
from workspace.shipped_rules import rule_file

COST = 'incumbent_model = "claude-opus-4-7"\ntokens_in = 3000\ntokens_out = 300\ncalls_per_day = 20000\n'
CHEAP = '[[api]]\nmodel = "claude-opus-4-7"\ninput = 0.01\noutput = 0.02\ndate = 2026-11-25\nsource = ["claudeguide"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "rung.toml").write_text('[model]\nprovider = "openai"\nbase = "gpt-4o-mini-2024-07-18"\n')
    (tmp_path / "answers.toml").write_text(ANSWERS + COST)
    assert rung("advise", "--as-of", "2026-11-25", cwd=tmp_path).returncode == 0
    return tmp_path


def rechecked(project: Path, day: str, *, holds: bool) -> list[dict[str, Any]]:
    """Run `--recheck` on this day and return its shifts; check that the exit code and the document agree."""
    done = rung("advise", "--recheck", "--as-of", day, "--json", cwd=project)
    document = json.loads(done.stdout)
    assert (done.returncode, document["holds"]) == (0 if holds else 1, holds), done.stderr
    return list(document["findings"])


def test_the_end_of_a_model_is_told_before_it_comes_and_ends_the_decision_after(project: Path) -> None:
    for day, holds in (("2026-11-25", True), ("2027-01-15", False)):
        first = rechecked(project, day, holds=holds)[0]
        assert (first["kind"], first["holds"]) == ("life", holds) and "rung baseline" in first["do"]
        assert all(datum in first["text"] for datum in ("gpt-4o-mini", "2027-01-14", "gpt-6-luna"))


def test_a_projects_own_table_comes_first_and_is_no_rule(project: Path) -> None:
    (project / "rules").mkdir()
    own = project / "rules" / "lives.toml"
    own.write_text('[[life]]\nmodel = "gpt-4o-mini"\nends = 2026-11-01\n')
    assert "2026-11-01" in rechecked(project, "2026-11-25", holds=False)[0]["text"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[[life]]\nmodel = "m"\nends = 2026-11-01T10:00:00\n', "ends"),
        ('[life]\nmodel = "m"\nends = 2026-11-01\n', "[[life]]"),
        ('[[life]]\nmodel = "m"\nend = 2026-11-01\n', '"ends"'),
        ('[[lives]]\nmodel = "m"\nends = 2026-11-01\n', '"life"'),
        ('life = ["m"]\n', "life 1"),
        ('[[life]]\nmodel = "m"\nreplace = 3\nsource = "s"\n', "replace"),
        ("[[life]\n", "lives.toml"),
    ],
)
def test_a_table_of_lives_that_is_wrong_is_told_plainly_by_every_command(project: Path, table: str, said: str) -> None:
    (project / "rules").mkdir()
    (project / "rules" / "lives.toml").write_text(table)
    for read, place in (
        (lambda: life_of("gpt-5", project / "rules"), str(project / "rules" / "lives.toml")),
        (lambda: load_rulebook(project / "rules"), "rules/lives.toml"),
    ):
        with pytest.raises(RungError) as error:
            read()
        assert said in str(error.value) and place in str(error.value)


def test_a_price_that_turns_what_pays_ends_the_decision(project: Path) -> None:
    saving = json.loads((project / "decision.json").read_text())["break_even"]["saving_usd_per_month"]
    assert saving > 0
    (project / "rules").mkdir()
    (project / "rules" / "prices.toml").write_text(CHEAP)
    found = rechecked(project, "2026-11-25", holds=False)
    assert {("prices", False), ("rules", True)} <= {(each["kind"], each["holds"]) for each in found}


def test_expired_prices_and_sources_are_told_and_do_not_end_it(project: Path) -> None:
    (project / "rung.toml").write_text("")
    found = {each["kind"]: each for each in rechecked(project, "2027-12-01", holds=True)}
    assert found.keys() == {"prices", "rules"}
    assert "rules/prices.toml" in found["prices"]["do"] and "rung why" in found["rules"]["do"]


def test_a_model_is_found_by_its_dated_id_and_no_life_is_invented() -> None:
    assert list(life_faults(rule_file("lives.toml"))) == []
    today = date(2026, 11, 25)
    dated = life_of("claude-opus-4-20250514")
    assert dated is not None and dated.model == "claude-opus-4" and dated.has_ended(today)
    open_ended = life_of("claude-opus-4-5-20251101")
    assert open_ended is not None and open_ended.ends is None and not open_ended.ends_soon(today)
    assert "2026-11-24" in open_ended.words(today)
    gpt = life_of("gpt-5")
    assert gpt is not None and [gpt.has_ended(date(2026, 12, day)) for day in (11, 12)] == [False, True]
    assert life_of("Qwen/Qwen3-8B") is None and life_of("gpt-4o-mini-audio") is None


def test_a_projects_own_days_of_warning_count(tmp_path: Path) -> None:
    table, today = tmp_path / "lives.toml", date(2027, 1, 1)
    table.write_text('[[life]]\nmodel = "ours"\nends = 2027-03-01\n')
    usual = life_of("ours", tmp_path)
    table.write_text('warn_days = 30\n[[life]]\nmodel = "ours"\nends = 2027-03-01\n')
    own = life_of("ours", tmp_path)
    assert usual and own and usual.ends_soon(today) and not own.ends_soon(today)
    assert own.ends_soon(date(2027, 2, 1))
    for wrong in ('"x"', "-1", "true", "999999999999"):
        table.write_text(f"warn_days = {wrong}\n")
        with pytest.raises(InputError, match="warn_days"):
            life_of("ours", tmp_path)


def test_what_closes_is_gone_after_its_last_day_and_stands_last() -> None:
    before, after = ({one.id: one for one in managed(day)} for day in (date(2027, 1, 6), date(2027, 1, 7)))
    assert before["openai"].status == "closing" and after["openai"].status == "gone"
    read = managed(date(2026, 11, 25))
    assert [one.status for one in read] == sorted((o.status for o in read), key=("open", "closing", "gone").index)
    assert not any(one.old for one in read) and all(one.old for one in managed(date(2027, 6, 1)))


def test_it_works_without_a_project(tmp_path: Path) -> None:
    document = json.loads(rung("plan", "--managed", "--json", cwd=tmp_path).stdout)
    assert document["training_tokens"] is None and len(document["providers"]) == len(managed(date.today()))

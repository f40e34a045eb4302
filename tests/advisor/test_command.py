"""`rung advise`, `rung questions` and `rung rules`, run as a user runs them; dated tables end a decision."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from clinic import ANSWERS
from in_shell import rung
from worked import cases

from advisor.answer_file import from_table
from advisor.dated_tables import life_faults, life_of, managed
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from rung.text.decision_text import advice_lines, headline
from rung.text.rules_text import explain
from workspace.errors import InputError, RungError
from workspace.shipped_rules import rule_file

GOOD = 'task = "classification"\nprompting = "insufficient"\nfew_shot = "untried"\nfailure = "breaks_rules"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "rung.toml").write_text("")
    (tmp_path / "answers.toml").write_text(GOOD)
    return tmp_path


def test_in_a_project_the_decision_is_written_with_what_it_was_made_from(project: Path) -> None:
    done = rung("advise", "--json", "--as-of", "2026-11-25", cwd=project)
    saved = json.loads((project / "decision.json").read_text())
    assert set(saved["made_from"]) == {"answers.toml", "rulebook"}
    assert json.loads(done.stdout)["next_step"] == saved["next_step"] == "few_shot"
    assert rung("advise", "--recheck", cwd=project).returncode == 0
    (project / "answers.toml").write_text(GOOD.replace("untried", "insufficient"))
    changed = rung("advise", "--recheck", cwd=project)
    assert changed.returncode == 1
    assert {"few_shot", "untried", "insufficient", "fine-tune"} <= set(changed.stdout.split())
    diff = rung("advise", "--diff", "decision.json", "--json", cwd=project)
    assert json.loads(diff.stdout)["answers"] == {"few_shot": ["untried", "insufficient"]}


def test_advice_that_differs_in_its_day_alone_leaves_the_written_one_as_it_is(project: Path) -> None:
    """A run that was cleared with it, and a release, hold the file's hash."""
    file = project / "decision.json"
    first = rung("advise", "--as-of", "2026-11-25", cwd=project)
    written = file.read_bytes()
    assert first.returncode == 0 and rung("advise", "--as-of", "2026-11-26", cwd=project).stdout == first.stdout
    assert file.read_bytes() == written
    again = json.loads(rung("advise", "--as-of", "2026-11-27", "--json", cwd=project).stdout)
    assert again["as_of"] == "2026-11-27" and file.read_bytes() == written
    assert rung("advise", "--as-of", "2031-01-01", cwd=project).returncode == 0
    assert file.read_bytes() != written, "sources have expired"
    file.write_text("{")
    assert rung("advise", "--as-of", "2026-11-25", cwd=project).returncode == 0
    assert json.loads(file.read_text())["next_step"]


def test_what_if_says_what_would_change_and_writes_nothing_and_save_writes_the_answers(project: Path) -> None:
    done = rung("advise", "--what-if", "few_shot=insufficient", "--what-if", "examples=3000", "--json", cwd=project)
    assert json.loads(done.stdout)["decision"]["next_step"] == "fine_tune"
    assert not (project / "decision.json").exists()
    rung("advise", "--answers", "-", "--save", cwd=project, stdin='prompting = "works"\n')
    assert (project / "answers.toml").read_text() == 'prompting = "works"\n'
    assert json.loads((project / "decision.json").read_text())["action"]["name"] == "keep"


def test_the_report_is_one_file_with_everything_in_it(tmp_path: Path) -> None:
    answers = GOOD + '[answered.task]\nby = "<b>sam</b>"\nat = 2026-11-25\nfrom = "said"\n'
    assert rung("advise", "--answers", "-", "--report", "page.html", cwd=tmp_path, stdin=answers).returncode == 0
    page = (tmp_path / "page.html").read_text()
    assert all(datum in page for datum in ("few-shot", "rules-not-facts", "husain-2024", "sam"))
    assert "<b>sam</b>" not in page and "<script" not in page and "src=" not in page
    wrong = rung("advise", "--answers", "-", "--report", "page.pdf", cwd=tmp_path, stdin=answers)
    assert wrong.returncode == 2 and not (tmp_path / "page.pdf").exists()


def test_questions_and_rules(tmp_path: Path) -> None:
    sheet = json.loads(rung("questions", "--json", cwd=tmp_path).stdout)
    assert {"id", "text", "why", "kind", "answers", "sets"} == set(sheet[0])
    assert rung("questions", cwd=tmp_path).stdout.count("Don't know") == len(sheet)
    assert rung("rules", "check", cwd=tmp_path).returncode == 0
    shown = json.loads(rung("rules", "show", "stale-weights", "--json", cwd=tmp_path).stdout)
    first = shown["rule"]["sources"][0]
    assert first["expired"] is (date.fromisoformat(first["review_by"]) < date.today())
    for day, expired in ((date(2026, 11, 25), False), (date(2100, 1, 1), True)):
        assert explain(load_rulebook(), "stale-weights", day)["rule"]["sources"][0]["expired"] is expired
    lost = rung("rules", "show", "stale-wieghts", cwd=tmp_path)
    assert lost.returncode == 2 and '"stale-weights"' in lost.stderr


def test_a_projects_own_rules_are_checked_and_used(project: Path) -> None:
    (project / "rules").mkdir()
    (project / "rules" / "own.toml").write_text('[[veto]]\nid = "x"\nwhen = { task = "clasification" }\n')
    done = rung("rules", "check", cwd=project)
    assert done.returncode == 2
    assert "rules/own.toml line 1" in done.stderr and '"classification"' in done.stderr
    assert rung("advise", cwd=project).returncode == 2


def test_on_a_terminal_no_line_is_wider_than_eighty_columns_and_no_sentence_is_cut() -> None:
    book = load_rulebook()
    for _, case in cases():
        decision = decide(book, from_table(case["answers"]), date(2026, 11, 25))
        lines = list(advice_lines(decision, "rung data import FILE", wide=False))
        assert max(map(len, lines)) <= 80
        assert lines[-1].startswith("Next: ")
        rules = {reason.rule for reason in decision.reasons}
        assert any(rule in line for rule in rules for line in lines)
        told = " ".join(" ".join(lines).split())
        assert "…" not in told and headline(decision) in told
        assert all(key in told for key in decision.open_questions[:1])
        assert not [line for line in lines if line.endswith(("(rung", "(rung why"))]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--set", "gaol_score=0.8"], '"goal_score"'),
        (["--set", "goal_score=80"], "goal_score"),
        (["--set", "goal_score=0.8", "--answers", "answers.toml"], "--answers"),
        (["--set", "goal_score=0.8", "--as-of", "soon"], "soon"),
        (["--set", "goal_score=0.8", "--what-if", "gaol_score=1"], '"goal_score"'),
        (["--set", "examples=50", "--what-if", "reviewed_examples=90"], "90"),
        (["--set", "goal_score=0.8", "--diff", "nosuch.json"], "nosuch.json"),
        (["--set", "goal_score=0.8", "--recheck"], ""),
        (["--set", "goal_score=0.8", "--report", "page.pdf"], ".html"),
        (["--set", "goal_score=0.8", "--report", "rung.toml/page.html"], "rung.toml"),
        (["--recheck", "--report", "page.html"], "--recheck"),
        (["--what-if", "goal_score=0.8", "--report", "page.html"], "--what-if"),
    ],
)
def test_what_cannot_be_set_changes_nothing(project: Path, given: list[str], said: str) -> None:
    done = rung("advise", *given, cwd=project)
    assert done.returncode == 2 and said in done.stderr
    assert (project / "answers.toml").read_text() == GOOD
    assert sorted(path.name for path in project.iterdir()) == ["answers.toml", "rung.toml"]


COST = 'incumbent_model = "claude-opus-4-7"\ntokens_in = 3000\ntokens_out = 300\ncalls_per_day = 20000\n'
CHEAP = '[[api]]\nmodel = "claude-opus-4-7"\ninput = 0.01\noutput = 0.02\ndate = 2026-11-25\nsource = ["claudeguide"]\n'


@pytest.fixture
def measured(tmp_path: Path) -> Path:
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


def test_the_end_of_a_model_is_told_before_it_comes_and_ends_the_decision_after(measured: Path) -> None:
    for day, holds in (("2026-11-25", True), ("2027-01-15", False)):
        first = rechecked(measured, day, holds=holds)[0]
        assert (first["kind"], first["holds"]) == ("life", holds) and "rung baseline" in first["do"]
        assert all(datum in first["text"] for datum in ("gpt-4o-mini", "2027-01-14", "gpt-6-luna"))


def test_a_projects_own_table_comes_first_and_is_no_rule(measured: Path) -> None:
    (measured / "rules").mkdir()
    own = measured / "rules" / "lives.toml"
    own.write_text('[[life]]\nmodel = "gpt-4o-mini"\nends = 2026-11-01\n')
    assert "2026-11-01" in rechecked(measured, "2026-11-25", holds=False)[0]["text"]


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
def test_a_table_of_lives_that_is_wrong_is_told_plainly_by_every_command(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "lives.toml").write_text(table)
    for read, place in (
        (lambda: life_of("gpt-5", tmp_path), str(tmp_path / "lives.toml")),
        (lambda: load_rulebook(tmp_path), "rules/lives.toml"),
    ):
        with pytest.raises(RungError) as error:
            read()
        assert said in str(error.value) and place in str(error.value)


def test_a_price_that_turns_what_pays_ends_the_decision(measured: Path) -> None:
    saving = json.loads((measured / "decision.json").read_text())["break_even"]["saving_usd_per_month"]
    assert saving > 0
    (measured / "rules").mkdir()
    (measured / "rules" / "prices.toml").write_text(CHEAP)
    found = rechecked(measured, "2026-11-25", holds=False)
    assert {("prices", False), ("rules", True)} <= {(each["kind"], each["holds"]) for each in found}


def test_expired_prices_and_sources_are_told_and_do_not_end_it(measured: Path) -> None:
    (measured / "rung.toml").write_text("")
    found = {each["kind"]: each for each in rechecked(measured, "2027-12-01", holds=True)}
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


def test_what_closes_is_gone_after_its_last_day_and_stands_last_also_without_a_project(tmp_path: Path) -> None:
    before, after = ({one.id: one for one in managed(day)} for day in (date(2027, 1, 6), date(2027, 1, 7)))
    assert before["openai"].status == "closing" and after["openai"].status == "gone"
    read = managed(date(2026, 11, 25))
    assert [one.status for one in read] == sorted((o.status for o in read), key=("open", "closing", "gone").index)
    assert not any(one.old for one in read) and all(one.old for one in managed(date(2027, 6, 1)))
    document = json.loads(rung("plan", "--managed", "--json", cwd=tmp_path).stdout)
    assert document["training_tokens"] is None and len(document["providers"]) == len(managed(date.today()))

"""`rung advise`, `rung questions` and `rung rules`, run as a user runs them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from in_shell import rung
from worked import cases

from advisor.answer_file import from_table
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from rung.text.decision_text import advice_lines, headline
from rung.text.rules_text import explain

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

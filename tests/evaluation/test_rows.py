"""Which rows arms may choose on and show, from a real store and a real leakage check."""

import pytest

from advisor.answer_file import load_answers
from curation.example import Example, chat_row
from curation.review import Ruling, decide_all, open_desk
from curation.split.manifest import load_split
from curation.store import open_store
from evaluation.arms.registry import ARMS, arms_named
from evaluation.baseline import Aim, run_baseline
from evaluation.bench import open_bench, rows_for
from evaluation.measured_answers import take_over
from workspace.settings import load_settings


@pytest.fixture
def stored(project, kit):
    """Only a test set is frozen; 24 pool rows, of which 21 are approved, one rejected, one leaks, one is undecided."""
    for path in (project.datasets / "v001").iterdir():
        path.unlink()
    kit.freeze_by_hand(project, "v001", test=kit.rows_of(kit.PLACES, " today at the latest"))
    project.settings_file.write_text(
        '[evaluation]\nfew_shot = 3\n[review]\npool = "all"\n[dataset]\nvalidation = 0.3\n'
    )
    settings = load_settings(project.settings_file, {})
    pool = [Example(row) for row in kit.rows_of(kit.PLACES, " for a whole long week of the year")]
    leak = Example(chat_row("card lost near the sea today at the latest", "card", note="copied"))
    with open_store(project, settings) as store:
        ids = store.add([*pool, leak], role="pool").ids
        generated = Example(chat_row("card lost on the moon this morning again", "card"))
        made = store.add([generated], role="candidates", origin="generated").ids
    desk = open_desk(project, settings)
    rulings = [(name, Ruling("approve")) for name in (*ids[2:], *made)] + [(ids[0], Ruling("reject", reason="no"))]
    decide_all(desk, "dana", rulings, kind="person")
    desk.store.close()
    return project, settings, pool, leak


def test_only_reviewed_imported_rows_that_leak_nothing(stored):
    project, settings, pool, leak = stored
    rows = rows_for(project, settings, project.datasets / "v001", load_split(project.datasets / "v001", "test"))
    used = {row.question for row in (*rows.validation, *rows.examples)}
    assert used == {row.question for row in pool[2:]}
    assert rows.validation and rows.examples
    assert not {r.question for r in rows.validation} & {r.question for r in rows.examples}
    assert leak.question not in used and "moon" not in " ".join(used)


def test_choosing_rows_are_pinned_to_validation_and_what_was_measured_becomes_answers(stored, model):
    project, settings, *_ = stored
    project.answers_file.write_text('task = "classification"\ngoal_score = 0.9\nprompting = "works"\nexamples = 9999\n')
    bench = open_bench(project, settings, model)
    _, report = run_baseline(bench, arms_named(list(ARMS)), Aim(goal=0.9))
    with open_store(project, settings) as store:
        marked = {row.id for row in store.rows(role="pool") if row.mark == "validation"}
        changes = len(store.changes())
    assert marked == set(bench.rows.validation_ids) and len(marked) > 3
    decision = take_over(project, settings, bench, report)
    answers = load_answers(project.answers_file)
    assert answers.prompting == "weak_effort" and answers.answered["prompting"]["from"] == "measured"
    assert answers.answered["prompting"]["said"] == "works"
    assert answers.few_shot == report.judged["few_shot"]
    assert answers.rag == report.judged["rag"] == "works"
    assert (answers.examples, answers.reviewed_examples) == (25, 24)
    assert (answers.classes, answers.test_set) == (3, True)
    assert project.decision_file.exists() and decision.next_step in ("prompt", "few_shot", "rag")
    again = open_bench(project, settings, model)
    assert set(again.rows.validation_ids) == marked
    run_baseline(again, arms_named(["base"]))
    with open_store(project, settings) as store:
        assert len(store.changes()) == changes

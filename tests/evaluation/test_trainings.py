"""Several trainings as one, the tuned model with passages, and what validation says of both."""

import pytest
from bank import evaluated, ladder, perfect
from runs_by_hand import finish_run
from scripted import Scripted

from curation.split.manifest import load_split
from evaluation.measurement_report import read_outcomes, read_report
from evaluation.tuned import Sibling
from evaluation.verdict.pairing import rule_again
from rung.report.evaluation import write_page
from rung.status.stages import after_verdict
from rung.text.verdict_text import lines
from workspace.errors import Refusal


def test_three_trainings_are_ruled_on_as_one(project, settings, model):
    ladder(project, settings, model)
    right, wrong = Scripted(perfect, name="t+R-002"), Scripted(lambda ask: "pin", name="t+R-003")
    siblings = [Sibling("R-002", 1, lambda: right), Sibling("R-003", 2, lambda: wrong)]
    folder, verdict = evaluated(project, settings, siblings=siblings)
    assert [(t.run, t.seed) for t in verdict.trainings] == [("R-001", 0), ("R-002", 1), ("R-003", 2)]
    assert verdict.tuned == pytest.approx(sum(t.score for t in verdict.trainings) / 3) and verdict.graded
    by_class = {s.name: s.tuned for s in verdict.slices if s.kind == "class"}
    assert by_class == {"card": pytest.approx(2 / 3), "transfer": pytest.approx(2 / 3), "pin": pytest.approx(1.0)}
    beside = {s.name: s.tuned for s in verdict.secondary}
    assert beside["normalised match"] == pytest.approx(7 / 9)
    again = rule_again(project, settings, folder)
    assert (again.low, again.high, again.verdict) == (verdict.low, verdict.high, verdict.verdict)
    assert again.trainings_spread == verdict.trainings_spread
    assert verdict.high - verdict.low > 0.8 and verdict.verdict != "ship"
    assert {o.arm for o in read_outcomes(folder / "outputs.jsonl")} == {"tuned", "tuned:R-002", "tuned:R-003"}
    assert all(o.split == "test" for o in read_outcomes(folder / "outputs.jsonl") if ":" in o.arm)
    told = "\n".join(lines(verdict, read_report(project, folder.name)[1]))
    assert "77.8%" in told and "33.3% to 100.0%" in told and ", p " not in told
    assert after_verdict(verdict).command.startswith("RUNG_TRAINING__SEED=3 ")
    assert verdict.trainings_spread == pytest.approx(0.3849, abs=1e-4) and verdict.minimum_detectable is None
    assert verdict.items_to_settle is None and "3 training runs" in write_page(project, folder).read_text()


def test_trainings_that_were_counted_once_are_not_left_out_again(project, settings, model):
    """One training that did well does not ship after three of them, that one among them, did not."""
    ladder(project, settings, model)
    others = [Sibling(f"R-00{n}", n, lambda: Scripted(lambda ask: "pin", name="bad")) for n in (2, 3)]
    assert evaluated(project, settings)[1].verdict == "ship"
    evaluated(project, settings, siblings=others)
    for fewer in ([], others[:1]):
        with pytest.raises(Refusal, match=r"3 trainings.*R-003"):
            evaluated(project, settings, siblings=fewer)
    assert evaluated(project, settings, siblings=others)[1].verdict != "ship"


def test_passages_count_where_validation_prefers_them_and_test_answers_in_them_are_told(project, settings, model):
    known = load_split(project.datasets / "v001", "test")[0]
    (project.documents / "leak.md").write_text(f"Seen: {known.question} -> {known.answer}")
    ladder(project, settings, model)
    reads = Scripted(lambda ask: perfect(ask) if "Passages:" in ask.turns[-1]["content"] else "pin", name="t")
    told = f"Topic. As in {known.question} -> {known.answer}"
    folder, verdict = evaluated(project, settings, reads, "R-001", told, rag=True)
    report = read_report(project, folder.name)[1]
    plain, passages = report.arms
    assert rule_again(project, settings, folder).candidate == "tuned_rag"
    assert verdict.candidate == "tuned_rag" and verdict.tuned == 1.0 and verdict.verdict == "ship"
    assert (plain.arm, passages.arm, passages.extra["retrieval_recall"]) == ("tuned", "tuned_rag", 1.0)
    assert any(note.startswith("1 passages") for note in report.notes)
    assert any("instruction holds 1 " in note for note in verdict.notes)
    assert evaluated(project, settings, run="R-002", rag=True)[1].candidate == "tuned"


def test_runs_of_one_recipe_are_found_by_their_seed_and_missing_ones_are_named(project, settings):
    from rung.cli.evaluate import _trainings

    recipes = {"R-001": (0, 16), "R-002": (1, 16), "R-003": (2, 8), "R-004": (2, 16)}
    made = {}
    for run, (seed, rank) in recipes.items():
        made[run] = finish_run(project, run)
        (project.runs / run / "plan.toml").write_text(f'[recipe]\nbase = "tiny"\nrank = {rank}\nseed = {seed}\n')
    seed, others = _trainings(project, settings, made["R-001"], 3)
    assert seed == 0 and [(o.run, o.seed) for o in others] == [("R-002", 1), ("R-004", 2)]
    with pytest.raises(Refusal, match="only 3") as refused:
        _trainings(project, settings, made["R-001"], 4)
    assert refused.value.hint.startswith("RUNG_TRAINING__SEED=3 ")
    assert _trainings(project, settings, made["R-003"], 1) == (2, [])

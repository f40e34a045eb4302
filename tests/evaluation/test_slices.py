"""Parts of the verdict, the worst first, and the correction for many of them."""

import json

import pytest
from scipy.stats import false_discovery_control

from evaluation.measurement_report import ItemOutcome
from evaluation.verdict.evidence import facets_of, holm, secondary_tests, slices


def outcomes(arm, right, n=40, wrong="no idea"):
    return [
        ItemOutcome(split="test", arm=arm, form="free", item=i, output="card" if right(i) else wrong, expected="card",
                score=float(right(i)))
        for i in range(1, n + 1)
    ]  # fmt: skip


def test_holm_is_the_step_down_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []
    values = [0.001, 0.02, 0.2, 0.6]
    assert all(h >= b - 1e-12 for h, b in zip(holm(values), false_discovery_control(values), strict=True))


def test_parts_by_source_reviewer_and_topic_are_read_from_the_frozen_set_and_the_worst_stand_first(project):
    folder = project.datasets / "v001"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["rows"] = [
        {"split": "test", "line": n, "source": f"in/{'old' if n <= 18 else 'new'}.csv:{n}", "reviewer": "priya"}
        for n in range(1, 37)
    ]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    facets = facets_of(folder)
    assert facets["source"][1] == "in/old.csv" and facets["topic"] == {}
    tuned, rival = outcomes("tuned", lambda i: i > 18, 36), outcomes("prompt", lambda i: i % 2, 36)
    found = slices(tuned, rival, by_class=True, facets=facets)
    assert [(s.kind, s.name, s.n, s.worse) for s in found] == [
        ("source", "in/old.csv", 18, True),
        ("source", "in/new.csv", 18, False),
    ]
    assert found[0].low <= found[0].difference == -0.5 <= found[0].high
    assert found[0].p_holm == pytest.approx(min(1.0, 2 * found[0].p_value))


def test_a_rows_own_topic_makes_parts_and_a_key_with_a_name_a_row_does_not(project, kit):
    rows = [
        {**row, "topic": "cards" if n % 2 else "pins", "ticket": n} for n, row in enumerate(kit.rows_of(["x"] * 30))
    ]
    folder = kit.freeze_by_hand(project, "v002", test=rows)
    tuned, rival = outcomes("tuned", lambda i: True, 90), outcomes("prompt", lambda i: True, 90)
    topics = {s.name for s in slices(tuned, rival, by_class=True, facets=facets_of(folder)) if s.kind == "topic"}
    assert topics == {"cards", "pins"}
    by_ticket = slices(tuned, rival, by_class=True, facets=facets_of(folder, "ticket"))
    assert not [s for s in by_ticket if s.kind == "topic"]


def test_secondary_metrics_are_paired_corrected_together_and_leave_the_primary_out():
    tuned, rival = outcomes("tuned", lambda i: True), outcomes("prompt", lambda i: i > 20, wrong="I cannot help.")
    found = {row.name: row for row in secondary_tests([tuned], rival, "token_f1")}
    assert "token F1" not in found and found["refusals"].difference == -0.5
    assert found["refusals"].p_holm >= found["refusals"].p_value
    assert found["cut at the limit"].p_holm == 1.0


def test_items_of_one_group_count_together_in_parts_and_secondary_metrics():
    tuned, rival = outcomes("tuned", lambda i: True), outcomes("prompt", lambda i: i > 20, wrong="I cannot help.")
    facets = {"source": {i: "old.csv" if i <= 20 else "new.csv" for i in range(1, 41)}}
    groups = [f"customer {i // 5}" for i in range(40)]
    alone = slices(tuned, rival, by_class=False, facets=facets)
    together = slices(tuned, rival, by_class=False, facets=facets, clusters=groups)
    assert [s.difference for s in together] == [s.difference for s in alone] == [0.0, 1.0]
    assert together[1].low < alone[1].low and together[1].p_value == 0.125
    single = [str(i) for i in range(40)]
    assert slices(tuned, rival, by_class=False, facets=facets, clusters=single) == alone
    refusals = [
        next(row for row in secondary_tests([tuned], rival, "token_f1", named) if row.name == "refusals")
        for named in (None, groups)
    ]
    assert refusals[0].difference == refusals[1].difference and refusals[1].p_value > refusals[0].p_value
    losing = slices(rival, tuned, by_class=False, facets=facets, clusters=groups)
    assert losing[0].difference == -1.0 and not losing[0].worse
    assert slices(rival, tuned, by_class=False, facets=facets)[0].worse

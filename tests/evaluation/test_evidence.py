"""Evidence beside a verdict: its parts, the worst first, and secondary metrics, corrected for how many they are.

And the price of a tuned model: measured where it was measured, null with the missing thing named otherwise.
"""

import json

import pytest
from bank import arm_result
from scipy.stats import false_discovery_control

from evaluation.measurement_report import ItemOutcome
from evaluation.verdict.evidence import facets_of, holm, price_of, secondary_tests, slices
from rung.text.verdict_text import break_even, call_words, price_rows
from workspace.shipped_rules import rule_file


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


def test_parts_by_source_reviewer_and_topic_are_read_from_the_frozen_set_and_the_worst_stand_first(project, kit):
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
    rows = [
        {**row, "topic": "cards" if n % 2 else "pins", "ticket": n} for n, row in enumerate(kit.rows_of(["x"] * 30))
    ]
    folder = kit.freeze_by_hand(project, "v002", test=rows)
    tuned, rival = outcomes("tuned", lambda i: True, 90), outcomes("prompt", lambda i: True, 90)
    topics = {s.name for s in slices(tuned, rival, by_class=True, facets=facets_of(folder)) if s.kind == "topic"}
    assert topics == {"cards", "pins"}
    by_ticket = slices(tuned, rival, by_class=True, facets=facets_of(folder, "ticket"))
    assert not [s for s in by_ticket if s.kind == "topic"]


def test_secondary_metrics_are_corrected_together_and_items_of_one_group_count_together_there_and_in_parts():
    tuned, rival = outcomes("tuned", lambda i: True), outcomes("prompt", lambda i: i > 20, wrong="I cannot help.")
    facets = {"source": {i: "old.csv" if i <= 20 else "new.csv" for i in range(1, 41)}}
    groups = [f"customer {i // 5}" for i in range(40)]
    alone = slices(tuned, rival, by_class=False, facets=facets)
    together = slices(tuned, rival, by_class=False, facets=facets, clusters=groups)
    assert [s.difference for s in together] == [s.difference for s in alone] == [0.0, 1.0]
    assert together[1].low < alone[1].low and together[1].p_value == 0.125
    single = [str(i) for i in range(40)]
    assert slices(tuned, rival, by_class=False, facets=facets, clusters=single) == alone
    items, grouped = (
        {row.name: row for row in secondary_tests([tuned], rival, "token_f1", named)} for named in (None, groups)
    )
    assert "token F1" not in items and items["cut at the limit"].p_holm == 1.0, "the primary one is left out"
    assert items["refusals"].difference == grouped["refusals"].difference == -0.5
    assert items["refusals"].p_holm >= items["refusals"].p_value < grouped["refusals"].p_value
    losing = slices(rival, tuned, by_class=False, facets=facets, clusters=groups)
    assert losing[0].difference == -1.0 and not losing[0].worse
    assert slices(rival, tuned, by_class=False, facets=facets)[0].worse


def arm(name, read, written, cost=0.0, **known):
    tokens = {"input_tokens": 10 * read, "output_tokens": 10 * written}
    return arm_result(name, **tokens, p50_seconds=0.2, cost_usd=cost, **known)


def test_what_is_missing_is_named_and_nothing_is_invented(project, settings):
    price = price_of(project, settings, "R-001", arm("prompt", 400, 5, 0.0012), arm("tuned", 30, 5))
    assert (price.review_hours, price.training_seconds, price.break_even_calls) == (None, None, None)
    assert any("incumbent_model" in each for each in price.unknown) and price.upkeep_usd_per_month
    assert (price.prompted.tokens_in, price.tuned.tokens_in) == (400, 30)
    words = call_words(price.prompted)
    assert all(figure in words for figure in ("400 tokens", "5 out", "0.2 s", "$0.00012"))
    assert break_even(price).startswith("unknown ") and dict(price_rows(price))["review"].startswith("unknown ")


def test_break_even_follows_the_measured_tokens(project, settings):
    project.answers_file.write_text('incumbent_model = "gpt-6-luna"\nmodel_size_b = 8\n')
    (project.runs / "R-001").mkdir(parents=True)
    (project.runs / "R-001" / "run.json").write_text('{"seconds": 264.3}')
    short, long = (price_of(project, settings, "R-001", arm("rag", n, 5), arm("tuned", 30, 5)) for n in (400, 4000))
    assert short.break_even_calls > 5 * long.break_even_calls and short.training_seconds == 264.3
    call = (4000 * 0.10 + 5 * 0.50) / 1e6
    gpu, provider = long.card.rsplit(", ", 1)
    rent = next(r for r in rule_file("prices.toml")["rental"] if (r["gpu"], r["provider"]) == (gpu, provider))
    day = 24 * rent["per_hour"] + long.upkeep_usd_per_month / (365.25 / 12)
    assert long.break_even_calls == pytest.approx(day / call, rel=0.01)
    assert "gpt-6-luna" in break_even(long)


def test_what_a_cache_has_makes_the_prompt_cheaper_and_break_even_later(project, settings):
    """As the replies counted it; else as prompts of one beginning would be kept, if a cache keeps so few tokens."""
    project.answers_file.write_text('incumbent_model = "claude-sonnet-4-6"\nmodel_size_b = 8\n')
    plain, measured, shared, short = (
        price_of(project, settings, "R-001", arm("few_shot", 4000, 5, **known), arm("tuned", 30, 5))
        for known in ({}, {"cached_tokens": 10 * 3000}, {"shared": 0.75}, {"shared": 0.25})
    )
    assert plain.break_even_calls == short.break_even_calls
    later = pytest.approx(plain.break_even_calls * (4000 * 3 + 75) / (1000 * 3 + 3000 * 0.3 + 75), rel=0.001)
    assert measured.break_even_calls == shared.break_even_calls == later
    assert "3,000 of 4,000" in measured.assumed[0] and "measured" in measured.assumed[0]
    assert "3,000 of 4,000" in shared.assumed[0] and "measured" not in shared.assumed[0]
    assert "1,000" in short.assumed[0] and ("assumed", short.assumed[0]) in price_rows(short)

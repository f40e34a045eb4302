"""The price of a tuned model: measured where it was measured, null with the missing thing named otherwise."""

import pytest
from bank import arm_result

from evaluation.verdict.evidence import Call, price_of
from rung.text.verdict_text import break_even, call_words, price_rows


def arm(name, read, written, cost=0.0, **known):
    tokens = {"input_tokens": 10 * read, "output_tokens": 10 * written}
    return arm_result(name, **tokens, p50_seconds=0.2, cost_usd=cost, **known)


def test_what_is_missing_is_named_and_nothing_is_invented(project, settings):
    price = price_of(project, settings, "R-001", arm("prompt", 400, 5), arm("tuned", 30, 5))
    assert (price.review_hours, price.training_seconds, price.break_even_calls) == (None, None, None)
    assert any("incumbent_model" in each for each in price.unknown) and price.upkeep_usd_per_month
    assert (price.prompted.tokens_in, price.tuned.tokens_in) == (400, 30)
    assert break_even(price).startswith("unknown ") and dict(price_rows(price))["review"].startswith("unknown ")


def test_break_even_follows_the_measured_tokens(project, settings):
    project.answers_file.write_text('incumbent_model = "gpt-6-luna"\nmodel_size_b = 8\n')
    (project.runs / "R-001").mkdir(parents=True)
    (project.runs / "R-001" / "run.json").write_text('{"seconds": 264.3}')
    short, long = (price_of(project, settings, "R-001", arm("rag", n, 5), arm("tuned", 30, 5)) for n in (400, 4000))
    assert short.break_even_calls > 5 * long.break_even_calls and short.training_seconds == 264.3
    call = (4000 * 0.10 + 5 * 0.50) / 1e6
    day = _day(long) + long.upkeep_usd_per_month / (365.25 / 12)
    assert long.break_even_calls == pytest.approx(day / call, rel=0.01)
    assert "gpt-6-luna" in break_even(long)


def _day(price):
    """A day of the named card, from the price table itself."""
    from workspace.shipped_rules import rule_file

    gpu, provider = price.card.rsplit(", ", 1)
    entry = next(r for r in rule_file("prices.toml")["rental"] if (r["gpu"], r["provider"]) == (gpu, provider))
    return 24 * entry["per_hour"]


def test_a_call_in_words():
    words = call_words(Call(arm="prompt", tokens_in=400.4, tokens_out=5, seconds=0.2, usd=0.00012))
    assert all(figure in words for figure in ("400 tokens", "5 out", "0.2 s", "$0.00012"))


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

"""Groundedness, by the definition in the module."""

import pytest

from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.metrics.groundedness import grounded
from rung.report.evaluation import write_page

PASSAGES = ["The pin is blocked after 3 wrong tries.", "A lost card is blocked by phone."]


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("The pin is blocked after 3 wrong tries.", 1.0),
        ("The pin is blocked after 3 wrong tries [2].", 1.0),
        ("The pin is blocked after 4 wrong tries.", 0.0),
        ("The pin is blocked. Money arrives on Monday morning.", 0.5),
        ("Money arrives on Monday morning.", 0.0),
        ("[1]", None),
        ("", None),
    ],
)
def test_each_statement_against_the_passages(answer, share):
    assert grounded(answer, PASSAGES) == share


@pytest.mark.parametrize(("arms", "told"), [(["base", "rag"], 1), (["base"], 0)])
def test_a_report_with_groundedness_says_what_it_cannot_see(project, settings, model, arms, told):
    folder, _ = run_baseline(open_bench(project, settings, model), arms_named(arms))
    page = write_page(project, folder)
    assert page.read_text().count("it does not find a statement that reverses its source") == told

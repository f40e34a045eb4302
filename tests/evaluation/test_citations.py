"""Citation precision, recall and groundedness, by the definition in the module."""

import pytest

from chat.scripted import Scripted
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.metrics.citations import ASK, cited, uncited
from rung.report.evaluation import write_page

PASSAGES = ["The pin is blocked after 3 wrong tries.", "A lost card is blocked by phone."]


@pytest.mark.parametrize(
    ("answer", "precision", "recall", "grounded"),
    [
        ("The pin is blocked after 3 wrong tries [1].", 1.0, 1.0, 1.0),
        ("The pin is blocked after 3 wrong tries. [1]", 1.0, 1.0, 1.0),
        ("The pin is blocked after 3 wrong tries [2].", 0.0, 0.0, 1.0),
        ("The pin is blocked after 3 wrong tries [1, 2].", 0.5, 1.0, 1.0),
        ("The pin is blocked after 4 wrong tries [1].", 0.0, 0.0, 0.0),
        ("The pin is blocked [1]. A lost card is blocked by phone.", 1.0, 0.5, 1.0),
        ("Money arrives on Monday morning.", None, 0.0, 0.0),
        ("The pin is blocked [7].", 0.0, 0.0, 1.0),
        ("[1]", None, None, None),
        ("", None, None, None),
    ],
)
def test_each_statement_against_its_passages(answer, precision, recall, grounded):
    found = cited(answer, PASSAGES)
    assert (found.precision, found.recall, found.grounded) == (precision, recall, grounded)


def test_marks_are_taken_off_before_an_answer_is_scored(project, settings, kit):
    cite = settings.evaluation.model_copy(update={"cite": True, "closed_set": "off"})
    settings = settings.model_copy(update={"evaluation": cite})

    def citing(ask):
        text = ask.turns[-1]["content"]
        if not text.endswith(ASK):
            return "no idea"
        return f"{text.split('-> ')[1].split(chr(10))[0]} [1]"

    _, report = run_baseline(open_bench(project, settings, Scripted(citing)), arms_named(["base", "rag"]))
    rag = report.arms[1]
    assert rag.score == 1.0 and rag.extra["citation_precision"] == rag.extra["citation_recall"] == 1.0
    assert "citation_precision" not in report.arms[0].extra
    assert uncited("E10 [1] eye [2, 3]") == "E10 eye"


@pytest.mark.parametrize(("arms", "told"), [(["base", "rag"], 1), (["base"], 0)])
def test_a_report_with_groundedness_says_what_it_cannot_see(project, settings, model, arms, told):
    folder, _ = run_baseline(open_bench(project, settings, model), arms_named(arms))
    page = write_page(project, folder)
    assert page.read_text().count("it does not find a statement that reverses its source") == told

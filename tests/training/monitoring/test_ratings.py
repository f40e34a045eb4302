"""Feedback of people and evaluators: Langfuse's observations, traces and scores, ratings."""

import pytest
from as_logged import ASKED, generation, joined, litellm, score

from rung.text.monitoring_text import imported_lines
from training.monitoring.log_import import read_logs, take_in
from training.monitoring.log_lines import read_part
from training.monitoring.requests import read_watched
from workspace.folder import Project


def test_an_observation_of_langfuse_gives_all_its_figures():
    part = read_part(generation("o-1", modelParameters={}, metadata={"a": 1}, statusMessage=None))
    assert (part.kind, part.ids, part.trace, part.model) == ("whole", ("o-1",), "trace-of-o-1", "house")
    assert (part.seconds, part.input_tokens, part.output_tokens, part.cost_usd) == (1.5, 9, 3, 0.002)
    failed = read_part(generation("o-1", output=None, level="ERROR", statusMessage="rate limit"))
    assert (failed.kind, failed.said.error) == ("whole", "rate limit")
    details = read_part(generation("o-1", usage=None, usageDetails={"input": 5, "output": 2}, calculatedTotalCost=None,
                                   costDetails={"total": 0.5}))  # fmt: skip
    assert (details.input_tokens, details.output_tokens, details.cost_usd) == (5, 2, 0.5)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"text": "a", "codes": ["E11"]}, '{"text": "a", "codes": ["E11"]}'),
        ({"answer": "a"}, "a"),
    ],
)
def test_an_object_that_langfuse_logged_as_output_is_kept_whole(output, text):
    assert read_part(generation("o-1", output=output)).said.text == text


@pytest.mark.parametrize(
    ("given", "rating", "words"),
    [
        (score(0), 0.0, False),
        (score(1, dataType="BOOLEAN", stringValue="True"), 1.0, True),
        (score(0, dataType="BOOLEAN"), -1.0, True),
        (score(None, dataType="CATEGORICAL", stringValue="bad"), -1.0, True),
        (score(0.5, observationId="o-1", traceId="other"), 0.5, False),
        (score(0.2, name="correctness", source="ANNOTATION"), 0.2, False),
    ],
)
def test_a_score_on_a_line_of_its_own_finds_its_request(given, rating, words):
    made = joined(generation("o-1"), {**given, "comment": "why"})
    said = made.requests[0].feedback
    assert (said.rating, said.words, said.comment, made.joined) == (rating, words, "why", 1)


@pytest.mark.parametrize(
    "line",
    [
        {"scores": [score(1)]},
        {"scores": [score(0.1, name="toxicity"), score(0.3, source="EVAL"), score(1)]},
        {"user-feedback": [1], "toxicity": [0.1]},
        {"userFeedback": [0, 1]},
        {"scores": [{"name": "quality", "value": 1}]},
    ],
)
def test_scores_beside_a_request_are_read_where_a_person_gave_them(line):
    assert read_part(generation("o-1", **line)).feedback.rating == 1.0


def test_scores_of_evaluators_are_counted_and_no_rating(project: Project, write):
    machine = score(0.1, name="hallucination", source="EVAL", comment="made up by the judge")
    log = write([generation("o-1"), machine, generation("o-2", scores=[score(0.9, name="accuracy")])])
    made = take_in(project, read_logs([log], keep_rejects=False))
    assert made is not None and made.why_aside == {"a score that no person gave": 1}
    told = "\n".join(imported_lines(made, [], None))
    assert "hallucination (1), accuracy (1)" in told
    assert [(r.rating, r.comment) for r in read_watched(project).requests] == [(None, ""), (None, "")]


def test_a_rating_that_cannot_be_read_is_told_and_a_sentence_is_a_comment(project: Project, write):
    said = [{"metadata": {"rating": "4/5"}}, {"feedback": {"rating": "meh"}}, {"feedback": "the side is wrong"},
            {"feedback": {"type": "survey"}}]  # fmt: skip
    lines = [litellm(n, "q", "a", **more) for n, more in enumerate(said)]
    made = take_in(project, read_logs([write(lines)], keep_rejects=False))
    assert made is not None and made.ratings_unclear == {"4/5": 1, "meh": 1}
    assert "4/5 (1), meh (1)" in "\n".join(imported_lines(made, [], None))
    assert [r.comment for r in read_watched(project).requests] == ["", "", "the side is wrong", ""]


def test_a_trace_with_its_generation_is_one_request_and_its_scores_find_it(project: Project, write):
    trace = {
        "id": "t-1", "timestamp": "2026-11-25T10:00:00Z", "name": "chat", "input": {"args": [1]}, "output": None,
        "scores": [score(-1, traceId="t-1")], "totalCost": 0.01, "latency": 2.5,
    }  # fmt: skip
    part = read_part({**trace, "observations": [generation("o-1", traceId="t-1"), {"id": "x", "type": "SPAN"}]})
    assert (part.kind, part.ids, part.trace, part.feedback.rating) == ("whole", ("o-1",), "t-1", -1.0)
    assert part.messages == ASKED and part.said.text == "a"
    several = read_part({**trace, "observations": [generation("o-1"), generation("o-2")]})
    assert several.kind == "other" and "2" in several.why
    plain = {**trace, "input": ASKED, "output": "a", "scores": []}
    imported = take_in(project, read_logs([write([plain])], keep_rejects=False))
    assert imported is not None and imported.kept == 1
    later = write([score(0, traceId="t-1", dataType="BOOLEAN")], "scores.jsonl")
    take_in(project, read_logs([later], keep_rejects=False))
    assert [r.rating for r in read_watched(project).requests] == [-1.0]


def test_feedback_goes_with_its_request_before_another_model_is_left_out(project: Project, write):
    """By one trace: the rating of the other model's answer must not land on this one's."""
    lines = [
        litellm(1, "q", "a", trace_id="t"),
        litellm(2, "q", "b", trace_id="t", model="other"),
        litellm(3, "q", "c", trace_id="u", model="other"),
        {"id": "chatcmpl-2", "rating": "down"},
        {"trace_id": "t", "rating": "down"},
        {"trace_id": "u", "rating": "down"},
        {"id": "chatcmpl-1", "rating": "up"},
    ]
    made = take_in(project, read_logs([write(lines)], keep_rejects=False), model="house")
    assert made is not None and made.why_aside == {
        "of a request to other": 4,
        "feedback on a trace of several requests, none of which it names": 1,
    }
    assert made.lines == made.requests + made.joined + made.aside + made.rejected + made.empty + made.feedback
    assert (made.requests, made.joined, made.feedback) == (1, 1, 0)
    later = write([{"trace_id": "t", "rating": "down"}], "later.jsonl")
    take_in(project, read_logs([later], keep_rejects=False))
    watched = read_watched(project)
    assert [(r.answer, r.rating) for r in watched.requests] == [("a", 1.0)] and watched.unmatched == 1

"""The project's judge on production answers: the rubric of judge.md, without a reference answer."""

from __future__ import annotations

from collections.abc import Sequence

from chat.protocols import ChatModel, Progress
from evaluation.asking import Replies
from evaluation.judging import Case, judge_rubric, judge_scores, read_rubric
from training.watch.measures import Judge
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings

NO_REFERENCE = "(none: judge by the question alone)"


def judge_of(
    project: Project, settings: Settings, model: ChatModel, replies: Replies, watch: Progress | None = None
) -> Judge:
    """From (question, answer) pairs to whether each meets the rubric; a reply that cannot be read counts as no.

    Raises RungError where judge.md is missing, or `[judge] kind` compares pairs.
    """
    rubric, kind = read_rubric(project), settings.judge.kind
    if kind == "pairs":
        raise RungError(
            '[judge] kind = "pairs" compares two answers, and production has one.', 'kind = "rubric"', where="rung.toml"
        )
    good = (settings.judge.good - 1) / 4

    def judge(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        cases = [Case(question, NO_REFERENCE, answer) for question, answer in pairs]
        if kind == "score":
            found = judge_scores(model, rubric, cases, replies, watch)
            return [score is not None and score >= good for score in found]
        return [bool(each) for each in judge_rubric(model, rubric, cases, replies, watch)]

    return judge

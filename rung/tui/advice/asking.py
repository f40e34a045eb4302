"""The questionnaire behind the Questions screen, and its texts. No widgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from advisor.answer_file import answers_at, record_said
from advisor.answers import Answers, FactValues, contradictions
from advisor.decide import is_settled, verdict_of
from advisor.interview import (
    Effect,
    Progress,
    more_questions,
    progress,
)
from advisor.rulebook import Question, Rulebook
from advisor.rulefiles import load_rulebook
from evaluation.measured_answers import judge_again
from rung.status.stages import STEP_WORDS
from rung.text.decision_text import OPEN, step_and_end
from rung.tui.widgets.lines import Entry, shown
from workspace.counted import counted
from workspace.errors import InputError, Problem
from workspace.folder import Project
from workspace.settings import load_settings


@dataclass
class Asking:
    """Answers of one project (or of nobody: then nothing is saved), and the questions that were shown."""

    project: Project | None
    person: str
    answers: Answers

    @classmethod
    def of(cls, project: Project | None, person: str) -> Asking:
        """Read the answers that the project has."""
        return cls(project, person, answers_at(project.answers_file) if project else Answers())

    @cached_property
    def rulebook(self) -> Rulebook:
        """The rulebook with the project's own rules."""
        return load_rulebook(self.project.root / "rules" if self.project else None)

    def more(self) -> list[Question]:
        """Return the optional further questions."""
        return more_questions(self.rulebook, self.answers)

    def progress(self) -> Progress:
        """Return the progress."""
        return progress(self.rulebook, self.answers)

    def outcome(self) -> tuple[str, str]:
        """Return the next step and the likely end of the answers so far; the end is `open` until it is settled."""
        verdict = verdict_of(self.rulebook, self.answers)
        return verdict.next_step, verdict.destination if is_settled(self.rulebook, self.answers) else OPEN

    def answer(self, key: str, value: Any) -> None:
        """Save an answer (None: don't know). Raises InputError if it contradicts another; then nothing changed."""
        if self.project is not None:
            self.answers = record_said(self.project.answers_file, {key: value}, self.person)
            if judge_again(self.project, load_settings(self.project.settings_file)):
                self.answers = answers_at(self.project.answers_file)
        else:
            note = {"by": self.person, "at": "", "from": "said"}
            changed = self.answers.with_changes(**{key: value}, answered={**self.answers.answered, key: note})
            if problems := contradictions(changed):
                raise InputError([Problem(text) for _, text in problems])
            self.answers = changed

    def measured(self) -> FactValues:
        """Return the facts that Rung counted itself and does not ask."""
        return {key: getattr(self.answers, key) for key in sorted(self.answers.measured())}


UNKNOWN = "unknown"
"""Key of the line "don't know"."""
WOULD = "What each answer would do"
FIRST = "No advice yet. 4 to 6 answers are enough if a prompt or RAG will do."
ENOUGH = "That is enough: no open answer can change the next step."
MEASURED = 4
"""Measured facts shown; the rest is counted."""


PICKS = "123456789abdefghilmnopqrstv"
"""The key of each answer, in order: digits, then the letters that mean nothing else here."""


def picks(many: int) -> str:
    """Return the keys of so many answers, as a key line shows them: `1-6`, or `1-9 a-g`."""
    letters = PICKS[9:many]
    return f"1-{min(many, 9)}" + (f" {letters[0]}-{letters[-1]}" if letters else "")


def choices(question: Question, effects: Sequence[Effect] = ()) -> Iterator[Entry]:
    """Yield a line an answer with its key, the entry's key the answer's value; under it what it would do."""
    would = {f"={effect.value}": _outcome(effect) for effect in effects}
    if would:
        yield Entry(WOULD, style="dim")
    for pick, choice in zip(PICKS, question.answers, strict=False):
        key = f"={choice.value}"
        yield Entry(f"{pick}  {choice.text}", key)
        if key in would:
            yield Entry(f"     {would[key]}", style="dim")


def why_lines(question: Question, marked: str, count: int, effects: Sequence[Effect]) -> Iterator[str]:
    """The example of the marked answer, why it is asked, and what each answer would do where that was asked for."""
    example = next((choice.example for choice in question.answers if f"={choice.value}" == marked), "")
    if example:
        yield f"\nFor example: {example}"
    yield f"\nWhy we ask: {question.why} {count} rule{'s use' if count != 1 else ' uses'} this answer."
    if effects:
        yield f"\n{WOULD}"
        yield from (f"  {effect.text}\n    {_outcome(effect)}" for effect in effects)


def _outcome(effect: Effect) -> str:
    return step_and_end(effect.next_step, effect.destination, settled=effect.settled)


def answer_text(question: Question, value: Any) -> str:
    """Return an answer in the words that it was offered in; `-` where there is none."""
    said = next((choice.text for choice in question.answers if choice.value == value), value)
    return "-" if said is None else shown(str(said))


def enough_words(moving: Sequence[str]) -> str:
    """Return a note that enough is answered, and whether an unknown answer could still change the next step."""
    if not moving:
        return ENOUGH
    return f"That is enough to go on. {counted(len(moving), 'unknown answer')} could still change the next step."


def more_words(more: Sequence[str], moving: Sequence[str]) -> str:
    """Describe the optional further questions."""
    if not more:
        return ""
    what = sum(key in moving for key in more)
    does = f"{what} of them can change the next step" if what else "they change how, not what"
    return f"j   {len(more)} more ({does})"


def advice_lines(asking: Asking, moved: Sequence[str]) -> list[str]:
    """Return the advice so far, what the last answer moved, what is answered, what was measured."""
    done = asking.progress()
    if not done.asked:
        lines = ["", FIRST]
    else:
        step, end = asking.outcome()
        lines = [
            "",
            "Advice so far",
            "",
            f"  Next step    {STEP_WORDS[step]}",
            f"  Likely end   {STEP_WORDS.get(end, end)}",
            "",
        ]
        lines += [*_settled(done), ""]
        lines += ["Your last answer moved", "", *moved, ""] if moved else []
        lines += [
            "Answered",
            "",
            f"  {done.asked}{'' if done.enough else f' of about {done.about}'}",
            f"  {done.unknown} don't know",
        ]
    measured = asking.measured()
    if measured:
        lines += ["", "Measured, not asked", ""]
        lines += [f"  {key} {shown(str(value))}" for key, value in list(measured.items())[:MEASURED]]
        lines += [f"  and {len(measured) - MEASURED} more: / lists them"] if len(measured) > MEASURED else []
    return lines


def _settled(done: Progress) -> list[str]:
    count = f"{done.can_change} answer{'' if done.can_change == 1 else 's'}"
    if not done.can_change:
        return ["  Settled."]
    if done.enough:
        return ["  Enough to go on."]
    return [f"  Not settled: {count}", "  can still change it."]


def moved_lines(before: tuple[str, str], after: tuple[str, str]) -> list[str]:
    """Return the changes that an answer made to the advice."""
    return [
        f"  {name}\n  was {STEP_WORDS.get(old, old)},\n  now {STEP_WORDS.get(new, new)}"
        for name, old, new in zip(("Next step", "Likely end"), before, after, strict=True)
        if old != new
    ]

"""What the Questions screen says: the answers, why it is asked, what each answer would do, and the advice so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advisor.interview import Effect, Progress
from advisor.rulebook import Question
from rung.status.stages import STEP_WORDS
from rung.tui.asking import Asking
from rung.tui.text import shown
from rung.tui.widgets.marked import Entry
from workspace.words import counted

UNKNOWN = "unknown"
"""Key of the line "don't know"."""
WOULD = "What each answer would do"
FIRST = "No advice yet. 4 to 6 answers are enough if a prompt or RAG will do."
ENOUGH = "That is enough: no open answer can change the next step."
MEASURED = 4
"""Measured facts shown; the rest is counted."""


def choices(question: Question, effects: Sequence[Effect] = ()) -> Iterator[Entry]:
    """A line an answer, its key the answer's value; digits for the first nine; under it what it would do."""
    would = {f"={effect.value}": _outcome(effect) for effect in effects}
    if would:
        yield Entry(WOULD, style="dim")
    for number, choice in enumerate(question.answers, 1):
        key = f"={choice.value}"
        yield Entry(f"{number if number < 10 else ' '}  {choice.text}", key)
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
        yield from (effect_line(effect) for effect in effects)


def effect_line(effect: Effect) -> str:
    """The answer, and under it the advice that it would lead to."""
    return f"  {effect.text}\n    {_outcome(effect)}"


def _outcome(effect: Effect) -> str:
    return f"next step {STEP_WORDS[effect.next_step]}, likely end {STEP_WORDS[effect.destination]}"


def enough_words(moving: Sequence[str]) -> str:
    """That it is enough, and whether something that is not known could still change the next step."""
    if not moving:
        return ENOUGH
    return f"That is enough to go on. {counted(len(moving), 'open answer')} can still change the next step."


def more_words(more: Sequence[str], moving: Sequence[str]) -> str:
    """What can be asked beyond what is enough."""
    if not more:
        return ""
    what = sum(key in moving for key in more)
    does = f"{what} of them can change the next step" if what else "they change how, not what"
    return f"j   {len(more)} more ({does})"


def advice_lines(asking: Asking, moved: Sequence[str]) -> list[str]:
    """The advice so far, what the last answer moved, what is answered, what was measured."""
    done = asking.progress()
    if not done.asked:
        lines = ["", FIRST]
    else:
        step, end = asking.outcome()
        lines = ["", "Advice so far", "", f"  Next step    {STEP_WORDS[step]}", f"  Likely end   {STEP_WORDS[end]}", ""]
        lines += [*_settled(done), ""]
        lines += ["Your last answer moved", "", *moved, ""] if moved else []
        lines += ["Answered", "", f"  {done.asked} of about {done.about}", f"  {done.unknown} don't know"]
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
        return [
            "  Enough to go on:",
            f"  {done.can_change} open answer{'' if done.can_change == 1 else 's'} can",
            "  still change it.",
        ]
    return [f"  Not settled: {count}", "  can still change it."]


def moved_lines(before: tuple[str, str], after: tuple[str, str]) -> list[str]:
    """What an answer changed of the advice."""
    return [
        f"  {name}\n  was {STEP_WORDS[old]}, now {STEP_WORDS[new]}"
        for name, old, new in zip(("Next step", "Likely end"), before, after, strict=True)
        if old != new
    ]

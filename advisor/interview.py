"""The questionnaire: which question comes next, what each answer would do, and when enough is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from advisor.answers import FACTS, Answers, FactValues
from advisor.counterfactual import ROOTS, NearbyAnswers
from advisor.decide import is_settled, verdict_of
from advisor.followup import data_of, gates_of, method_of, outcome_facts
from advisor.ladder import engine_of
from advisor.rulebook import Question, Rule, Rulebook, holds
from workspace.json_types import JsonObject

SHORTEST_WAY = 4
"""Questions at least, unless a rung that works is kept: fewer would leave the far end a guess."""
SHORT_WAY = 6
"""Questions at most where a prompt or retrieval is the answer."""
LONG_WAY = 12
"""Questions at most where tuning is in play."""
OPENING = ("task", "prompting")
"""Asked first, whatever they can change: the task names the sizes, what was tried is worth most."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The advice that one answer leads to. `settles`: gates and method that it moves, by name; `settled`: the end."""

    value: Any
    text: str
    next_step: str
    destination: str
    settles: tuple[str, ...]
    settled: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the questionnaire: `asked` of `about`, how many "don't know", and whether enough is known.

    `can_change` counts what is not known and can change the advice; `moving` names what of it can change the next step.
    """

    asked: int
    about: int
    unknown: int
    can_change: int
    enough: bool
    moving: tuple[str, ...] = ()


def asked_keys(answers: Answers) -> frozenset[str]:
    """Return questions that have an answer, "don't know" among them (its note is in `answered` without a value)."""
    return frozenset(answers.known()) | (frozenset(answers.answered) & frozenset(FACTS))


def next_question(book: Rulebook, answers: Answers) -> Question | None:
    """Return the most telling question that can still change the advice, a gate or the method, or None."""
    verdict, said = verdict_of(book, answers), asked_keys(answers) - answers.measured()
    open_now = askable(book, answers)
    for key in OPENING:
        if key in open_now:
            return open_now[key]
    if verdict.kept or len(said) >= LONG_WAY:
        return None
    tuning = _facts(book, answers)["tuning"]
    telling = _telling(book, answers, open_now)
    if len(said) >= SHORT_WAY and not tuning:
        telling = [] if verdict.destination in ("prompt", "rag") else _moving(book, answers, telling)
    if telling:
        return open_now[telling[0]]
    if len(said) < SHORTEST_WAY:
        return next((question for question in open_now.values() if question.core), None)
    return next((q for key, q in open_now.items() if tuning and _settles_something(book, answers, key)), None)


def more_questions(book: Rulebook, answers: Answers) -> list[Question]:
    """Return optional questions, the most informative first: they change the method or the end, not the next step."""
    open_now = askable(book, answers)
    telling = _telling(book, answers, open_now)
    return [open_now[key] for key in dict.fromkeys((*telling, *open_now)) if key != "wants"]


def askable(book: Rulebook, answers: Answers) -> dict[str, Question]:
    """Return questions without an answer whose own condition holds, in the order of the file."""
    facts, said = _facts(book, answers), asked_keys(answers)
    return {key: q for key, q in book.questions.items() if key not in said and holds(q.when, facts) is True}


def moot(book: Rulebook, answers: Answers) -> frozenset[str]:
    """Return answers that were given and matter no more: they are kept, and shown greyed."""
    facts, asked = _facts(book, answers), answers.known().keys() & book.questions
    return frozenset(key for key in asked if holds(book.questions[key].when, facts) is False)


def effects(book: Rulebook, answers: Answers, key: str) -> list[Effect]:
    """Return the effect of each answer to `key` on advice, gates and method, with the other answers fixed."""
    fact, words = FACTS[key], {choice.value: choice.text for choice in book.questions[key].answers}
    values = list(fact.values or ((True, False) if fact.kind == "boolean" else ()))
    if fact.numeric:
        values = sorted(_near(book, answers).candidates(key))
    before, found = _second_pass(book, answers), []
    for value in values:
        given = answers.with_changes(**{key: value})
        (step, end), after = verdict_of(book, given).outcome, _second_pass(book, given)
        moved = tuple(name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name))
        text = words.get(value, f"{value:,}" if fact.numeric else str(value))
        found.append(Effect(value, text, step, end, moved, is_settled(book, given)))
    return found


def hanging_rules(book: Rulebook, key: str) -> list[Rule]:
    """Return the rules that read an answer, or a fact worked out from it."""
    keys = {key, *(derived for derived, roots in ROOTS.items() if key in roots)}
    rules = [rule for rule in book.rules if not keys.isdisjoint({*rule.keys(), *rule.effect.get("passes", ())})]
    sized = key in ("task", "examples", "reviewed_examples", "classes", "smallest_class")
    return list(dict.fromkeys([*rules, *(book.of("size") if sized else ())]))


def progress(book: Rulebook, answers: Answers) -> Progress:
    """Return the progress. `about` is the longest way, not the number of open questions: an answer can open more, and
    the counter would grow. Once enough is known it is the number that was asked.
    """
    said = asked_keys(answers) - answers.measured()
    near = _near(book, answers)
    flips = {key: near.singles(key) for key in near.read() if answers.known().get(key) is None}
    moving = tuple(key for key, found in flips.items() if any(flip.outcome[0] != near.outcome[0] for flip in found))
    can_change = sum(1 for found in flips.values() if found)
    enough = next_question(book, answers) is None
    left = 0 if enough else max(1, LONG_WAY - 1 - len(said))
    unknown = len(said - frozenset(answers.known()))
    return Progress(len(said), len(said) + left, unknown, can_change, enough, moving)


def sheet(book: Rulebook) -> list[JsonObject]:
    """`rung questions --json`."""
    return [
        {
            "id": question.id,
            "text": question.text,
            "why": question.why,
            "kind": question.kind,
            "answers": [{"value": c.value, "text": c.text, "example": c.example} for c in question.answers],
            "sets": [question.id],
        }
        for question in book.questions.values()
    ]


def _telling(book: Rulebook, answers: Answers, open_now: dict[str, Question]) -> list[str]:
    """Core questions of which some answer changes the advice: those whose answer is most likely to, first."""
    near = _near(book, answers)
    worth: dict[str, float] = {}
    for key, question in open_now.items():
        flips = near.singles(key) if question.core and key in near.touched and near.touched[key] else []
        if flips:
            often = {choice.value: choice.often for choice in question.answers}
            worth[key] = sum(often.get(f.to, 0.1) * (2 if f.outcome[0] != near.outcome[0] else 1) for f in flips)
    return sorted(worth, key=lambda key: worth[key], reverse=True)


def _moving(book: Rulebook, answers: Answers, keys: list[str]) -> list[str]:
    """Return the questions of which some answer changes the next step."""
    near = _near(book, answers)
    return [key for key in keys if any(flip.outcome[0] != near.outcome[0] for flip in near.singles(key))]


def _settles_something(book: Rulebook, answers: Answers, key: str) -> bool:
    fact = FACTS[key]
    if fact.kind == "text" or key in ("goal_score", "tokens_in", "tokens_out"):
        return key != "incumbent_model" or answers.cost_pressure is True
    return any(effect.settles for effect in effects(book, answers, key))


def _near(book: Rulebook, answers: Answers) -> NearbyAnswers:
    return NearbyAnswers(engine_of(book), answers.deciding())


def _facts(book: Rulebook, answers: Answers) -> FactValues:
    return outcome_facts(answers.deciding(), verdict_of(book, answers))


def _second_pass(book: Rulebook, answers: Answers) -> FactValues:
    facts = _facts(book, answers)
    method, data = method_of(book, facts), data_of(book, facts)
    found: FactValues = {f"gate {gate.id}": gate.passed for gate in gates_of(book, facts, data)}
    return {**found, "method": (method.name, method.variant, method.base_model), "data": data.enough}

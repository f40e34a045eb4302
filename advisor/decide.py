"""Answers in, decision out. Deterministic: no model, no network, no clock but the date it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import chain
from typing import Literal

from advisor.answer_file import answers_at
from advisor.answers import Answers, FactValues
from advisor.breakeven import break_even
from advisor.counterfactual import Flip, NearbyAnswers
from advisor.decision import Candidate, Decision, Experiment, Reason, RulebookStamp, write_decision
from advisor.followup import TUNED, action_of, data_of, fitted, gates_of, method_of, notes_of, outcome_facts
from advisor.ladder import PARTS, RANK, LadderVerdict, engine_of
from advisor.rulebook import OPTIONS, Rule, Rulebook, derive
from advisor.rulefiles import load_rulebook
from workspace.artefact import now
from workspace.folder import Project
from workspace.json_types import JsonObject

STAYS = "It stays here if this reaches the goal."


def verdict_of(book: Rulebook, answers: Answers) -> LadderVerdict:
    """Destination and next step alone, with the rules that hold: the quick part, under 0.1 ms."""
    values = answers.known()
    engine = engine_of(book)
    return engine.verdict(engine.mask({**values, **derive(values)}))


def decide(book: Rulebook, answers: Answers, as_of: date) -> Decision:
    """Return the advice with its reasons, gates, counterfactuals and open questions.

    `as_of` is the date by which sources and prices expire; it is also the decision's `created_at`, so that the same
    answers, rulebook and date give the same bytes.
    """
    values = answers.deciding()
    verdict = verdict_of(book, answers)
    facts = outcome_facts(values, verdict)
    explainer = _Explainer(book, as_of, verdict)
    method = fitted(method_of(book, facts), answers.gpu_memory_gb)
    data = data_of(book, facts)
    near = NearbyAnswers(engine_of(book), values)
    singles = [flip for key in near.read() for flip in near.singles(key)]
    questions = open_questions(singles)
    return Decision(
        created_at=datetime.combine(as_of, time(), UTC),
        next_step=verdict.next_step,
        destination=verdict.destination,
        settled=is_settled(book, answers),
        candidates=tuple(_candidates(book, answers, verdict, singles)),
        action=action_of(book, facts),
        provisional=bool(questions),
        strength=explainer.strength(),
        evidence=explainer.evidence(),
        method=method,
        data=data,
        gates=gates_of(book, facts, data),
        reasons=explainer.reasons(),
        why_not=explainer.why_not(),
        notes=notes_of(book, facts),
        would_change=tuple(_change(flip) for flip in ordered(singles, verdict)),
        open_questions=tuple(questions),
        experiment=_experiment(book, questions),
        break_even=break_even(book, answers, method.base_size_b, as_of) if facts["tuning"] else None,
        path=verdict.path,
        status=dict(verdict.status),
        answers=values,
        rulebook=RulebookStamp(version=book.version, sha256=book.sha256),
        as_of=as_of,
    )


def is_settled(book: Rulebook, answers: Answers) -> bool:
    """True if the answers settle where it ends.

    They do where a rung that works is kept, where vetoes leave a single option, or where every need is met and the end
    stays the same even if each cheaper step that was not measured falls short. Tuning is settled only with the task,
    the models and the rows known, and a prompt that was measured to fall short or to cost too much, or a need for
    speed or low cost. Where a prompt works and costs too much, its model writes the rows, so they need not be known.
    """
    verdict = verdict_of(book, answers)
    if verdict.kept or len(verdict.vetoes) == len(OPTIONS) - 1:
        return True
    if not verdict.needs or verdict.unmet or _if_short(book, answers).destination != verdict.destination:
        return False
    if verdict.destination not in TUNED:
        return True
    rows = answers.prompting == "works_but_costly" or derive(answers.known())["rows"] is not None
    known = rows and None not in (answers.task, answers.model_access)
    pressed = verdict.status.get("prompt") in ("insufficient", "costly")
    return known and (pressed or any(need.effect["kind"] == "cost" for need in verdict.needs))


def _if_short(book: Rulebook, answers: Answers) -> LadderVerdict:
    """Return the verdict if a prompt and examples that were not measured were measured to fall short."""
    changes: FactValues = {}
    if answers.prompting in (None, "untried", "weak_effort", "partial"):
        changes |= {"prompting": "insufficient", "prompt_effort_days": None}
    if answers.few_shot in (None, "untried"):
        changes["few_shot"] = "insufficient"
    return verdict_of(book, answers.with_changes(**changes))


def _candidates(book: Rulebook, answers: Answers, verdict: LadderVerdict, singles: list[Flip]) -> Iterator[Candidate]:
    """Yield the ends that stay open, the lowest first, each with the answers that would decide for it."""
    deciding: dict[str, list[str]] = {verdict.destination: []}
    if not is_settled(book, answers):
        for flip in singles:
            if flip.was is None and OPTIONS.index(flip.outcome[1]) > OPTIONS.index(verdict.destination):
                deciding.setdefault(flip.outcome[1], []).append(flip.key)
        short = _if_short(book, answers).destination
        if OPTIONS.index(short) > OPTIONS.index(verdict.destination):
            deciding.setdefault(short, []).extend(("prompting", "few_shot"))
    for option in sorted(deciding, key=OPTIONS.index):
        keys = tuple(dict.fromkeys(deciding[option]))
        asked = [book.questions[key].text for key in keys if key in book.questions][:1]
        yield Candidate(option=option, decided_by=keys, text=asked[0] if asked else STAYS)


def open_questions(singles: list[Flip]) -> list[str]:
    """Return the unanswered questions that can change the advice, the most valuable first: those that move the next
    step, then by how many outcomes they lead to, then by how many of their answers do.
    """
    found: dict[str, list[Flip]] = {}
    for flip in singles:
        if flip.was is None:
            found.setdefault(flip.key, []).append(flip)
    return sorted(found, key=lambda key: _value(found[key]), reverse=True)


def _value(flips: list[Flip]) -> tuple[int, int, int]:
    outcomes = {flip.outcome for flip in flips}
    return len({outcome[0] for outcome in outcomes}), len(outcomes), len(flips)


def _experiment(book: Rulebook, questions: list[str]) -> Experiment | None:
    asked = (book.questions[key] for key in questions if key in book.questions)
    found = next((question for question in asked if question.settle), None)
    return Experiment(question=found.id, text=found.settle, cost=found.settle_cost) if found else None


def ordered(singles: list[Flip], verdict: LadderVerdict) -> list[Flip]:
    """Changes of given answers first, then of unknown ones; what moves the next step before the rest."""
    return sorted(singles, key=lambda flip: (flip.was is None, flip.outcome[0] == verdict.next_step))


def _change(flip: Flip) -> JsonObject:
    step, end = flip.outcome
    was = "unknown" if flip.was is None else flip.was
    return {"question": flip.key, "from": was, "to": flip.to, "next_step": step, "destination": end}


CERTAINTY = {"measured": 2, "paper": 2, "vendor": 1, "practice": 1, "judgement": 0}


@dataclass(frozen=True, slots=True)
class _Explainer:
    """Turns the rules behind a verdict into reasons, with expired sources marked as of a date."""

    book: Rulebook
    as_of: date
    verdict: LadderVerdict

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons: what was tried, needed, ruled out and why, and what delays the destination."""
        verdict, delayed = self.verdict, self.verdict.next_step != self.verdict.destination
        others = [verdict.vetoes.get(option, ()) for option in OPTIONS if option != verdict.next_step]
        # Vetoes that leave nothing but the next step are why, not only why not.
        rules = [veto for veto in others[0] if all(veto in vetoes for vetoes in others)]
        rules += [rule for rule in verdict.status_rules if rule.effect["rung"] in (*verdict.path, verdict.next_step)]
        rules += [need for need in verdict.needs if need not in verdict.unmet]
        rules += verdict.reliefs
        rules += verdict.waits.get(verdict.destination, ()) if delayed else ()
        rules += verdict.skips
        found = [self._reason(rule) for rule in dict.fromkeys(rules)]
        return (*found, *(self._cheapest("for") if delayed or not found else ()))

    def why_not(self) -> dict[str, tuple[Reason, ...]]:
        """Return, for each option but the next step, its best argument and what removed it."""
        return {option: tuple(self._against(option)) for option in OPTIONS if option != self.verdict.next_step}

    def strength(self) -> Literal["strong", "conditional"]:
        """Conditional where a rule that decides is; apart from how certain the answers make it."""
        return "conditional" if any(r.strength == "conditional" for r in self._deciding()) else "strong"

    def evidence(self) -> Literal["high", "moderate", "low"]:
        """Return the weakest kind of evidence among the rules that decide; an expired source takes one level off."""
        levels = [CERTAINTY[r.evidence] - self._is_expired(r) for r in self._deciding()]
        names: tuple[Literal["low", "moderate", "high"], ...] = ("low", "moderate", "high")
        return names[max(0, min(levels, default=1))]

    def _deciding(self) -> list[Rule]:
        """Return the needs that hold and the vetoes for ever that removed an option which would meet them."""
        vetoes = self.verdict.vetoes.values() if self.verdict.unmet else ()
        return list(dict.fromkeys(chain(self.verdict.needs, *vetoes)))

    def _against(self, option: str) -> Iterator[Reason]:
        verdict, rung = self.verdict, "fine_tune" if option == "rag_and_fine_tune" else option
        speaking = [need for need in verdict.needs if need.effect["cells"][rung] == "best"]
        yield from (self._reason(need) for need in speaking[:1])
        vetoes = verdict.vetoes.get(option, ())
        removed = [*vetoes, *verdict.waits.get(option, ())]
        for need in verdict.needs:
            if max(RANK[need.effect["cells"][part]] for part in PARTS[option]) <= RANK["unlikely"]:
                removed.append(need)
        short = ("insufficient", "partial", "costly", "begun")
        removed += [r for r in verdict.status_rules if r.effect["rung"] == option and r.effect["is"] in short]
        yield from (self._reason(rule, "against") for rule in dict.fromkeys(removed))
        higher = OPTIONS.index(option) > OPTIONS.index(verdict.next_step)
        if not removed or (higher and not vetoes):
            yield from self._cheapest("against")

    def _cheapest(self, says: Literal["for", "against"]) -> list[Reason]:
        """Return the rule of the ladder itself, of rules/notes.toml, as a reason."""
        rule = self.book.by_id.get("cheapest-first")
        return [self._reason(rule, says)] if rule else []

    def _reason(self, rule: Rule, says: Literal["for", "against"] = "for") -> Reason:
        same = {key: getattr(rule, key) for key in ("source", "short", "evidence", "team")}
        return Reason(rule=rule.id, text=rule.text(), says=says, expired=self._is_expired(rule), **same)

    def _is_expired(self, rule: Rule) -> bool:
        """True if a source of the rule is past its review date."""
        sources = (self.book.sources.get(name.partition(":")[0]) for name in rule.source)
        return any(source.review_by < self.as_of for source in sources if source)


def advise_project(project: Project, as_of: date | None = None, *, write: bool = True) -> Decision:
    """Decide on answers.toml with the rulebook and the project's own rules; with `write`, write decision.json.

    Raises InputError for answers or rules that are wrong. Without answers.toml everything is unknown.
    """
    answers, book = answers_at(project.answers_file), load_rulebook(project.root / "rules")
    decision = decide(book, answers, as_of or now().date())
    return write_decision(project, decision) if write else decision

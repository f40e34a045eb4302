"""The questionnaire behind the Questions screen: what is asked, what is answered, the way back. No widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from advisor.answers import FACTS, Answers
from advisor.decide import verdict_of
from advisor.interview import (
    Effect,
    Progress,
    effects,
    hanging_rules,
    more_questions,
    next_question,
    progress,
)
from advisor.reading import load_answers, parse_value
from advisor.recording import record_said
from advisor.rulebook import Question, Rulebook, load_rulebook
from workspace.errors import RungError
from workspace.folder import Project


@dataclass
class Asking:
    """Answers of one project (or of nobody: then nothing is saved), and the questions that were shown."""

    project: Project | None
    person: str
    answers: Answers = field(default_factory=Answers)
    _mark: tuple[int, int] = field(default=(0, 0), repr=False)
    """Time and size of the file when it was read."""

    @classmethod
    def of(cls, project: Project | None, person: str) -> Asking:
        """Take up the answers that stand in the project."""
        asking = cls(project, person)
        asking.reread()
        return asking

    def reread(self) -> bool:
        """Take up what another program wrote; whether there was anything new. Raises RungError at the first look only:
        later a file that cannot be read changes nothing until the next answer says so.
        """
        mark = _mark_of(self.project)
        if mark == self._mark or self.project is None:
            return False
        first, self._mark = self._mark == (0, 0), mark
        try:
            self.answers = load_answers(self.project.answers_file)
        except RungError:
            if first:
                raise
            return False
        return True

    @cached_property
    def rulebook(self) -> Rulebook:
        """The rulebook with the project's own rules."""
        return load_rulebook(self.project.root / "rules" if self.project else None)

    def next(self) -> Question | None:
        """What to ask now; None where that is enough."""
        return next_question(self.rulebook, self.answers)

    def more(self) -> list[Question]:
        """What may be asked beyond that."""
        return more_questions(self.rulebook, self.answers)

    def progress(self) -> Progress:
        """How far it is."""
        return progress(self.rulebook, self.answers)

    def outcome(self) -> tuple[str, str]:
        """Next step and likely end of the answers so far."""
        verdict = verdict_of(self.rulebook, self.answers)
        return verdict.next_step, verdict.destination

    def effects(self, key: str) -> list[Effect]:
        """What each answer would do; shown on `w` only."""
        return effects(self.rulebook, self.answers, key)

    def rules(self, key: str) -> int:
        """How many rules read this answer."""
        return len(hanging_rules(self.rulebook, key))

    def questions(self) -> list[Question]:
        """Every question, in the order of the file."""
        return list(self.rulebook.questions.values())

    def answer(self, key: str, value: Any) -> None:
        """Save an answer (None: don't know) before anything else is shown.

        Raises InputError where it contradicts another; then nothing changed.
        """
        if self.project is not None:
            self.answers = record_said(self.project.answers_file, {key: value}, self.person)
            self._mark = _mark_of(self.project)
        else:
            from advisor.contradictions import contradictions
            from workspace.errors import InputError, Problem

            note = {"by": self.person, "at": "", "from": "said"}
            changed = self.answers.with_changes(**{key: value}, answered={**self.answers.answered, key: note})
            if problems := contradictions(changed):
                raise InputError([Problem(text) for _, text in problems])
            self.answers = changed

    def parse(self, key: str, raw: str) -> Any:
        """The typed value of what was written into a field; nothing written is "don't know"."""
        return parse_value(FACTS[key], raw.strip()) if raw.strip() else None

    def measured(self) -> dict[str, Any]:
        """What Rung has counted itself and does not ask."""
        return {key: getattr(self.answers, key) for key in sorted(self.answers.measured())}


def _mark_of(project: Project | None) -> tuple[int, int]:
    if project is None:
        return 0, 0
    try:
        found = project.answers_file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size

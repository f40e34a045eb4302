"""The advice of a project folder: answers and rulebook in, decision.json out. One way for all who need it."""

from __future__ import annotations

from datetime import date

from advisor.answer_file import load_answers
from advisor.answers import Answers
from advisor.decide import decide
from advisor.decision import Decision, read_decision
from advisor.rulefiles import load_rulebook
from workspace.artefact import hashes, now, write_artefact
from workspace.folder import Project

RULEBOOK = "rulebook"
"""Key in `made_from` for the hash of the rulebook, which is no file of the project."""


def advise_project(project: Project, as_of: date | None = None, *, write: bool = True) -> Decision:
    """Decide on answers.toml with the rulebook and the project's own rules; with `write`, write decision.json.

    Raises InputError for answers or rules that are wrong. Without answers.toml everything is unknown.
    """
    there = project.answers_file.exists()
    answers = load_answers(project.answers_file) if there else Answers()
    decision = decide(load_rulebook(project.root / "rules"), answers, as_of or now().date())
    return write_decision(project, decision) if write else decision


def write_decision(project: Project, decision: Decision) -> Decision:
    """Write decision.json with what it was made from, and return it.

    Advice that differs from the written one in nothing but the day stays as written: what was cleared or released
    with it names it by its hash.
    """
    made_from = hashes(project.root, project.answers_file) if project.answers_file.exists() else {}
    made_from[RULEBOOK] = decision.rulebook.sha256
    made = decision.model_copy(update={"made_from": made_from, "created_at": now()})
    before = read_decision(project)
    if before is not None and before.model_copy(update={"created_at": made.created_at, "as_of": made.as_of}) == made:
        return before.model_copy(update={"as_of": made.as_of})
    write_artefact(project.decision_file, made)
    return made

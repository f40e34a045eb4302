"""Gate 1: the advice says that fine-tuning is the next step."""

from __future__ import annotations

from advisor.decide import decide
from advisor.decision import Decision

from advisor.answers import load_answers
from advisor.rulebook import load_rulebook
from training.case import Case
from training.gate import Gate, closed, passed, unknown
from workspace.artefact import read_artefact
from workspace.files import sha256_file

RULE = "decision-fine-tune"
TRAINS = ("fine_tune", "rag_and_fine_tune")
WORDS = {"fine_tune": "fine-tune", "rag_and_fine_tune": "rag and fine-tune", "few_shot": "few-shot"}


def decision_gate(case: Case) -> Gate:
    """Work the advice out again from answers and rules; decision.json must say the same, and it must be to train."""
    path = case.project.decision_file
    if not path.is_file():
        return unknown("decision", "no advice yet", "rung advise", RULE, "fine-tuning must be the next step")
    written = read_artefact(path, Decision)
    again = _again(case, written)
    digest = sha256_file(path)
    if again.next_step != written.next_step:
        return closed(
            "decision",
            f"decision.json says {_word(written.next_step)}, the answers say {_word(again.next_step)}",
            "answers or rules changed since the advice was written",
            "rung advise",
            "decision-current",
            sha256=digest,
        )
    if again.next_step not in TRAINS:
        return closed(
            "decision",
            f"the advice says {_word(again.next_step)} next",
            "fine-tuning must be the next step",
            f"rung why {again.next_step}",
            RULE,
            sha256=digest,
        )
    return passed(
        "decision", f"{_word(again.next_step)} is the next step", f"decision.json {digest[:8]}", sha256=digest
    )


def _again(case: Case, written: Decision) -> Decision:
    rulebook = load_rulebook(case.project.root / "rules")
    return decide(rulebook, load_answers(case.project.answers_file), written.as_of)


def _word(step: str) -> str:
    return WORDS.get(step, step)

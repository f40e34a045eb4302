"""Gate 1: the advice says that fine-tuning is the next step."""

from __future__ import annotations

from advisor.decide import verdict_of
from advisor.decision import Decision
from advisor.reading import load_answers
from advisor.rulebook import load_rulebook
from training.case import Case
from training.gate import Gate, closed, passed, unknown
from workspace.artefact import read_artefact
from workspace.files import sha256_file

RULE = "decision-fine-tune"
WHY = "fine-tuning must be the next step"
TRAINS = ("fine_tune", "rag_and_fine_tune")
WORDS = {"fine_tune": "fine-tune", "rag_and_fine_tune": "rag and fine-tune", "few_shot": "few-shot"}


def decision_gate(case: Case) -> Gate:
    """Work the advice out again from answers and rules; decision.json must say the same, and it must be to train."""
    path = case.project.decision_file
    if not path.is_file():
        return unknown("decision", "no advice yet", "rung advise", RULE, WHY)
    written = read_artefact(path, Decision).next_step
    step = _again(case)
    if step != written:
        fact = f"decision.json says {_word(written)}, the answers say {_word(step)}"
        why = "answers or rules changed since the advice was written"
        return closed("decision", fact, why, "rung advise", "decision-current", {"next_step": step})
    if step not in TRAINS:
        return closed(
            "decision", f"the advice says {_word(step)} next", WHY, "rung baseline", RULE, {"next_step": step}
        )
    shown = f"decision.json {sha256_file(path)[:8]}"
    return passed("decision", f"{_word(step)} is the next step", shown, {"next_step": step})


def _again(case: Case) -> str:
    """The next step by today's answers and rules."""
    rulebook = load_rulebook(case.project.root / "rules")
    return str(verdict_of(rulebook, load_answers(case.project.answers_file)).next_step)


def _word(step: str) -> str:
    return WORDS.get(step, step)

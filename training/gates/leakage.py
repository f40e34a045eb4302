"""Gate 4: nothing of the test set, and nothing of validation, stands in what is trained on."""

from __future__ import annotations

from curation.recheck import recheck_leakage
from training.case import Case
from training.gate import Gate, closed, passed, unknown
from workspace.errors import Refusal

RULE = "no-leaks"
WHY = "a score on rows that were trained on proves nothing"


def leakage_gate(case: Case) -> Gate:
    """Search the frozen splits for leaks again."""
    if case.folder is None:
        return unknown("leakage", "no frozen dataset", "rung data freeze", RULE, WHY)
    try:
        found = recheck_leakage(case.project, case.settings, case.folder)
    except Refusal as error:
        return closed("leakage", "the splits cannot be compared", error.message, error.hint, RULE)
    if not found.passed:
        return closed("leakage", found.fact, found.why or WHY, found.opener, RULE, found.evidence)
    return passed("leakage", found.fact, evidence=found.evidence)

"""Gate 3: the rows were reviewed as the policy demands."""

from __future__ import annotations

from curation.recheck import recheck_review
from training.case import Case
from training.gate import Gate, closed, passed, unknown
from workspace.errors import Refusal

RULE = "reviewed-only"
WHY = "only reviewed rows may train"


def review_gate(case: Case) -> Gate:
    """Count the decisions again in the review log; what the manifest says of them is not believed."""
    if case.folder is None:
        return unknown("review", "no frozen dataset", "rung data freeze", RULE, WHY)
    try:
        found = recheck_review(case.project, case.settings, case.folder)
    except Refusal as error:
        return closed("review", "the frozen rows cannot be compared with the log", error.message, error.hint, RULE)
    if not found.passed:
        return closed("review", found.fact, found.why or WHY, found.opener or "rung review", RULE, found.evidence)
    return passed("review", found.fact, evidence=found.evidence)

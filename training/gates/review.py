"""Gate 3: the rows were reviewed as the policy demands."""

from __future__ import annotations

from curation.recheck import recheck_review

from training.case import Case
from training.gate import Gate, closed, passed, unknown

RULE = "reviewed-only"


def review_gate(case: Case) -> Gate:
    """Count the decisions again in the review log; what the manifest says of them is not believed."""
    if case.folder is None:
        return unknown("review", "no frozen dataset", "rung data freeze", RULE, "only reviewed rows may train")
    found = recheck_review(case.project, case.settings, case.folder)
    if not found.passed:
        return closed("review", found.fact, found.why, found.opener or "rung review", RULE, **found.evidence)
    return passed("review", found.fact, **found.evidence)

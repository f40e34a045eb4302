"""Gate 4: nothing of the test set, and nothing of validation, stands in what is trained on."""

from __future__ import annotations

from curation.leakage import find_leaks

from curation.manifest import load_split
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
        train, validation, test = (load_split(case.folder, split) for split in ("train", "validation", "test"))
    except Refusal as error:
        return closed("leakage", "the splits cannot be compared", error.message, "rung data freeze", RULE)
    into_test = find_leaks([*train, *validation], test).leaked_test
    into_validation = find_leaks(train, validation).leaked_test
    if into_test or into_validation:
        fact = f"{into_test} leaks into test, {into_validation} into validation"
        return closed("leakage", fact, WHY, "rung data fix leaks", RULE, test=into_test, validation=into_validation)
    return passed("leakage", "0 leaks between the splits", test=0, validation=0)

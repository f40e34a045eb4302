"""The words for the arms, as screens, reports and messages print them."""

from __future__ import annotations

ARM_NAMES = {
    "base": "base",
    "prompt": "prompt",
    "few_shot": "few-shot",
    "many_shot": "many-shot",
    "retrieved": "retrieved few-shot",
    "rag": "rag",
    "combined": "prompt, few-shot, rag",
    "optimised": "optimised prompt",
    "bigger_model": "bigger model",
    "classical": "classifier",
    "tuned": "tuned",
    "tuned_rag": "tuned, rag",
}


def arm_name(arm: str) -> str:
    """The word for an arm; an unknown one as it is."""
    return ARM_NAMES.get(arm, arm)

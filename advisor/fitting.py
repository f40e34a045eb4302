"""The memory that a method takes on a base model of the catalogue, against the card that the user named."""

from __future__ import annotations

from functools import lru_cache

from advisor.decision import Fit, Method
from advisor.sizing.architecture import read_architecture
from advisor.sizing.inverse import base_for
from advisor.sizing.memory import memory_of
from advisor.sizing.setup import Setup

LENGTH = 2048
"""Tokens of a row; the plan takes the rows' own length."""


def fitted(method: Method, memory_gb: float | None) -> Method:
    """The method with its memory at batch 1 and 2,048 tokens, chunked loss; where the proposed base does not fit the
    card, the largest proposed one that does takes its place. Unchanged where tuning is not in play.
    """
    if method.name is None or method.base_model is None:
        return method
    fit = _fit(method.base_model, method.name, memory_gb)
    if fit.fits is False and (choice := base_for(memory_gb, method=method.name, length=LENGTH, batch=1)):
        fit = _fit(choice.id, method.name, memory_gb)
        size = round(choice.parameters / 1e9, 1)
        return method.model_copy(update={"base_model": choice.id, "base_size_b": size, "memory": fit})
    return method.model_copy(update={"memory": fit})


@lru_cache(maxsize=256)
def _fit(model: str, method: str, memory_gb: float | None) -> Fit:
    memory = memory_of(read_architecture(model), Setup(method=method, batch=1, length=LENGTH, loss="chunked"))
    gib = {name: round(value, 2) for name, value in memory.gib().items()}
    fits = None if memory_gb is None else gib["high"] <= memory_gb
    return Fit(low=gib["low"], expected=gib["expected"], high=gib["high"], card_gb=memory_gb, fits=fits)

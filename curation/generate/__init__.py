"""Candidates written by a model: strategies, filters, budget, and a reply log that never pays for a reply twice."""

from __future__ import annotations

from curation.generate.run import DraftingResult, Wish, generate
from curation.generate.strategies import Strategy, strategies
from curation.generate.yields import Yield, yields

__all__ = ["DraftingResult", "Strategy", "Wish", "Yield", "generate", "strategies", "yields"]

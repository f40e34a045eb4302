"""Candidates written by a model: strategies, filters before the queue, budget, and a ledger that never pays twice."""

from __future__ import annotations

from curation.generate.outcome import Outcome, Wish
from curation.generate.run import generate
from curation.generate.strategy import Strategy, strategies
from curation.generate.yields import Yield, yields

__all__ = ["Outcome", "Strategy", "Wish", "Yield", "generate", "strategies", "yields"]

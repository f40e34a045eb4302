"""From reviewed rows to a frozen dataset: plan, refuse, write in one step, compare versions."""

from __future__ import annotations

from curation.freeze.difference import Difference, difference
from curation.freeze.eligible import Blocker
from curation.freeze.plan import FreezePlan, plan_freeze
from curation.freeze.write import Frozen, freeze

__all__ = ["Blocker", "Difference", "FreezePlan", "Frozen", "difference", "freeze", "plan_freeze"]

"""What people preferred, in words."""

from __future__ import annotations

from evaluation.blind import Preference
from rung.report.figures import arm_name, points, signed_interval
from workspace.words import counted


def preference_words(p: Preference) -> list[str]:
    """One rival: how often the tuned model was preferred, with the interval, agreement and reasons."""
    better = (
        f"preferred {counted(p.wins, 'time')}, {arm_name(p.rival)} {p.losses}, ties {p.ties}, equal outputs {p.same}"
    )
    lines = [f"tuned against {arm_name(p.rival)}: {points(p.difference)} {signed_interval(p.low, p.high)}; {better}"]
    if p.alpha is not None:
        lines.append(f"  raters agree: alpha {p.alpha:.2f} ({', '.join(p.raters)})")
    return lines + [f"  why: {reason}" for reason in p.reasons[:10]]

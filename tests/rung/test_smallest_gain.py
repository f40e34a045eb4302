"""The proposed size of a test set: it shows the gain that is looked for, and one item fewer does not."""

from __future__ import annotations

import pytest

from evaluation.verdict.compare import minimum_detectable
from rung.text.power_text import DISCORDANT, SmallestGain


@pytest.mark.parametrize("gain", [0.08, 0.1, 0.15, 0.2, 0.3])
def test_the_proposed_items_show_the_gain_and_one_fewer_does_not(gain: float) -> None:
    wanted = SmallestGain(60, 4000, 0.05, gain).wanted
    assert minimum_detectable(wanted, 0.0, 0.05, discordant=DISCORDANT) <= gain
    assert minimum_detectable(wanted - 1, 0.0, 0.05, discordant=DISCORDANT) > gain


def test_the_share_is_enough_and_is_told_where_it_may_be_chosen() -> None:
    size = SmallestGain(60, 2000, 0.05, 0.1)
    share = size.proposal()["share"]
    assert share * 2000 >= size.wanted and (share - 0.01) * 2000 < size.wanted
    assert f"--test {share:g}" in list(size.lines())[-1] and "Under 100" in list(size.lines())[1]
    assert "over half of these 600 rows" in list(SmallestGain(60, 600, 0.05, 0.1).lines())[-1]
    assert "--as test" in list(SmallestGain(60, 0, 0.05, 0.1).lines())[-1]
    assert SmallestGain(60, 2000, 0.05, 0.04).wanted is None
    (line,) = SmallestGain(2000, 9000, 0.05, 0.1).lines()
    assert line.endswith("arms differ on 20%, one training run)")


def test_groups_are_told_where_items_hang_together():
    told = list(SmallestGain(200, 0, 0.05, 0.1, "customer").lines())
    assert "share a customer count as one" in told[1] and "--power" in told[1]
    assert not any("count as one" in line for line in SmallestGain(200, 0, 0.05, 0.1).lines())

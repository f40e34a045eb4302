"""A part of the test set that stays sealed: nobody and no arm sees it until it is opened, once, for the last word.

Which items are sealed is drawn and recorded (an event) before the test set is first measured, among items that no
older version was measured on; what rung.toml says later changes nothing. Opened, the sealed items are a test set of
their own, meant for one run.
"""

from __future__ import annotations

import random

from curation.store import open_store, store_exists
from evaluation.measurement_report import newest_report, reports
from evaluation.testset.history import new_lines
from workspace.folder import Project
from workspace.settings import Settings

SEALED = "test_sealed"
"""Kind of event; `ref` is the test split's sha256, `detail` the items' numbers."""


def sealed_items(
    project: Project, settings: Settings, test_sha256: str, n: int, *, draw: bool = True
) -> frozenset[int]:
    """Numbers (from 1) of the sealed items of n; drawn now where the share is set and nothing was measured yet.

    Without `draw` nothing is recorded.
    """
    if store_exists(project, settings):
        with open_store(project, settings) as store:
            events = store.events(kind=SEALED, ref=test_sha256)
        if events:
            return frozenset(int(number) for number in events[0].detail["items"])
    wanted = round(settings.evaluation.sealed * n)
    if not wanted or newest_report(project, "baseline", test_sha256=test_sha256) is not None:
        return frozenset()
    unseen = new_lines(project, test_sha256, {report.test_sha256 for report in reports(project)})
    lines = range(1, n + 1) if unseen is None else sorted(unseen)
    drawn = sorted(random.Random(test_sha256).sample(lines, min(wanted, len(lines))))
    if not draw:
        return frozenset(drawn)
    with open_store(project, settings) as store:
        store.event(SEALED, settings.project.person, ref=test_sha256, detail={"items": drawn})
    return frozenset(drawn)

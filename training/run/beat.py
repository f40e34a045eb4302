"""The line to beat: what the best prompted arm scored on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curation.manifest import read_manifest
from evaluation.report import newest_report
from workspace.folder import Project


def line_to_beat(project: Project, dataset: Path, metric: str) -> dict[str, Any] | None:
    """`{"arm", "score", "metric", "report"}` of the chosen prompted arm; None where it was not measured by `metric`.

    Its score is on the validation rows that it was chosen on, which is kind to it.
    """
    test = read_manifest(dataset).splits.get("test")
    found = newest_report(project, "baseline", test_sha256=test.sha256) if test else None
    if found is None or found[1].metric != metric:
        return None
    arms = [arm for arm in found[1].arms if arm.prompted and arm.validation is not None]
    arm = next((arm for arm in arms if arm.arm == found[1].chosen), arms[0] if arms else None)
    if arm is None:
        return None
    return {"arm": arm.arm, "score": arm.validation, "metric": metric, "report": found[1].id}

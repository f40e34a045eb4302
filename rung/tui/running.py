"""A command that runs for a stage makes the stage a running one, whatever stands in the folder yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rung.status.stages import Stage, Status
from rung.tui.job import Job


def with_jobs(status: Status, jobs: Mapping[str, Job]) -> Status:
    """The status with each stage that has a running command as `running`, and the first of them as what is next."""
    if not jobs:
        return status
    stages = tuple(_running(stage, jobs[stage.name]) if stage.name in jobs else stage for stage in status.stages)
    first = next((stage for stage in stages if stage.name in jobs), None)
    return replace(status, stages=stages, next=first or status.next)


def _running(stage: Stage, job: Job) -> Stage:
    command = f"rung {' '.join(job.arguments[:2])}"
    reason = job.heard[-1] if job.heard else command
    return replace(stage, state="running", reason=reason, next=f"{command} is running")

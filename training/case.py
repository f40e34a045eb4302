"""What the gates look at: one project, one plan, one frozen dataset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from curation.manifest import Manifest, newest_dataset, read_manifest
from training.plan import Plan
from workspace.folder import Project
from workspace.settings import GateSettings, Settings, load_settings


@dataclass(frozen=True)
class Case:
    """The state that is judged. Gates read files themselves; nothing here vouches for their content.

    `dataset` is the version of the plan, or without a plan the newest one that has a train split. `report` names the
    baseline report to look at; without it the newest one on the same test items.
    """

    project: Project
    settings: Settings
    plan: Plan | None = None
    report: str | None = None

    @cached_property
    def folder(self) -> Path | None:
        """Folder of the frozen dataset, or None where there is none."""
        if self.plan is not None:
            path = self.project.datasets / self.plan.dataset
            return path if (path / "manifest.json").is_file() else None
        return newest_dataset(self.project, complete=True)

    @cached_property
    def policy(self) -> GateSettings:
        """The policy in rung.toml, without the environment."""
        return load_settings(self.project.settings_file, {}).gates

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest in that folder."""
        return read_manifest(self.folder) if self.folder else None

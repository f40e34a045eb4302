"""Trackers that a run may report to, by the names of transformers; none unless a person names one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from workspace.errors import Problem, did_you_mean

PACKAGES: dict[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
    "comet_ml": ("comet_ml",),
    "neptune": ("neptune",),
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "dvclive": ("dvclive",),
    "swanlab": ("swanlab",),
}
"""Each tracker with the packages of which one must be installed."""


def tracker_problems(names: Sequence[str]) -> list[Problem]:
    """What is wrong with the names in `[training] report_to`: unknown ones, and those that are not installed here."""
    found = []
    for name in names:
        packages = PACKAGES.get(name)
        if packages is None:
            known = ", ".join(PACKAGES)
            found.append(Problem(f'report_to: "{name}" is no tracker.{did_you_mean(name, PACKAGES)} Known: {known}.'))
        elif not any(find_spec(package) for package in packages):
            found.append(Problem(f"report_to: {name} is not installed here: pip install {packages[0]}"))
    return found

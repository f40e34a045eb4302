"""A trained reward model as the reward of grpo and rloo: which run it is, and whether it is still the planned one."""

import re

from curation.split.manifest import SplitName, read_manifest
from training.plan.recipe import Recipe
from training.runs import RunRecord, find_run
from workspace.errors import InputError, Problem, Refusal, RungError
from workspace.files import is_unchanged
from workspace.folder import Project
from workspace.settings import Settings

HELD_OUT: tuple[SplitName, ...] = ("validation", "test")


def is_run(reward: str) -> bool:
    """True if a recipe's reward names a run; else it names a metric."""
    return re.fullmatch(r"R-\d+", reward) is not None


def metric_name(recipe: Recipe, settings: Settings) -> str:
    """Return the metric that answers are scored by: the reward where it is one, else the project's."""
    return settings.evaluation.metric if not recipe.reward or is_run(recipe.reward) else recipe.reward


def reward_run(project: Project, name: str) -> RunRecord:
    """Return the finished run of a reward model. Raises InputError for any other."""
    run = find_run(project, name)
    if run.objective != "reward" or run.state != "finished":
        what = (
            f"{run.id} is no reward model ({run.objective})" if run.objective != "reward" else f"{name} is {run.state}"
        )
        problem = Problem(f"{what}.", "[training] reward", "a finished run of objective reward, or a metric", name)
        raise InputError([problem], "rung plan --objective reward, then rung train")
    return run


def same_held_out(project: Project, run: RunRecord, dataset: str) -> None:
    """Raise Refusal if this dataset holds out other rows than the one that the reward model was trained on: pairs
    of rows that are held out now may be what it learnt from, and it would reward the answers to them.
    """
    if run.dataset == dataset:
        return
    here = _held_out(project, dataset)
    if here is None or here != _held_out(project, run.dataset):
        raise Refusal(
            f"{run.id} was trained on {run.dataset}, which holds out other rows than {dataset}: it may have learnt "
            "from rows that are tested on here.",
            "rung plan --objective reward, then rung train",
        )


def _held_out(project: Project, dataset: str) -> list[str] | None:
    """Return SHA-256 of the validation and the test split; None if one is not there."""
    folder = project.datasets / dataset
    if not (folder / "manifest.json").is_file():
        return None
    splits = read_manifest(folder).splits
    held = [splits[name].sha256 for name in HELD_OUT if name in splits]
    return held if len(held) == len(HELD_OUT) else None


def reward_fault(project: Project, recipe: Recipe, dataset: str) -> str:
    """Return how the reward model on disk differs from the plan's; empty if it does not."""
    if not is_run(recipe.reward):
        return ""
    try:
        run = reward_run(project, recipe.reward)
        same_held_out(project, run, dataset)
    except RungError as error:
        return error.message
    for name, digest in run.files.items():
        path = project.runs / run.adapter / name
        if not is_unchanged(path, digest):
            return f"{run.id}: {name} changed since it was trained"
    return "" if run.adapter_sha256 == recipe.signals else f"{run.id} is another reward model than was planned with"

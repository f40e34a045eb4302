"""`rung remote check`, and `rung train --on NAME` at a provider: the machines and providers of [remotes.NAME]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung import __version__
from rung.cli.options import Json
from rung.cli.output import note, show, show_locked
from rung.status.following import ON_MACHINE, ON_PROVIDER, after
from workspace.counted import money
from workspace.errors import Refusal
from workspace.settings import opened_project

if TYPE_CHECKING:
    from training.gates.gate import GateOverride
    from training.plan.memory_fit import Machine
    from training.remote.connection import Box
    from workspace.folder import Project
    from workspace.json_types import JsonObject
    from workspace.settings import Settings

remote_app = typer.Typer(
    help="Machines and providers that train for you: [remotes.NAME] in rung.toml.", no_args_is_help=True
)
LEAST_DISK = 5.0
"""GiB of free disk below which a check warns: a base model and its checkpoints need more."""


@remote_app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The machine or provider of [remotes.NAME].")],
    install: Annotated[
        bool, typer.Option("--install", help="Install this version of Rung there, in an environment of its own.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a machine has: GPUs, memory, disk, Python, Rung. Exit 1 if it cannot train, or does not answer."""
    from training.remote.connection import open_box
    from training.remote.managed import provider_of

    project, settings = opened_project()
    if is_provider(settings, name):
        place, provider = provider_of(project, settings, name)
        provider.look()  # the key and the address are right
        answered = {"name": name, "provider": place.provider, "host": provider.host, "faults": []}
        lines = [f"{name}  {provider.host} answers.", "", f"Next: {after(ON_PROVIDER, name=name)}"]
        return show(as_json, answered, lines)
    box = open_box(project, settings, name)
    if install:
        note(f"{name}: installing Rung and torch for {box.place.python}. This takes some minutes.")
        box.install()
    found = box.ask("look", folder=box.place.folder)
    against = faults(found, name)
    cards = ", ".join(f"{card['name']} {card['gib']:g} GiB" for card in found["cards"]) or "no GPU"
    price = "" if box.place.usd_per_hour is None else f", ${box.place.usd_per_hour:g} an hour"
    lines = [
        f"{name}  {box.place.host}{price}",
        f"  {cards}; {found['cores']} cores, {found['ram_gib']:g} GiB memory, {found['disk_free_gib']:g} GiB free disk",
        f"  Python {found['python']}, Rung {found['rung'] or 'missing'}, torch {found['torch'] or 'missing'}",
        *(f"  ✗ {fault}" for fault in against),
        "" if against else f"Next: {after(ON_MACHINE, name=name)}",
    ]
    show(as_json, {"name": name, "host": box.place.host, **found, "faults": against}, lines)
    if against:
        raise typer.Exit(1)


def reached(project: Project, settings: Settings, name: str) -> tuple[Box, Machine | None]:
    """Return a machine that can train, and what it has; None without a GPU: the plan is then for this one.

    Raises Refusal with all that is missing there.
    """
    from training.plan.memory_fit import Machine
    from training.remote.connection import open_box

    box = open_box(project, settings, name)
    found = box.ask("look", folder=box.place.folder)
    if against := faults(found, name):
        raise Refusal(f"{name}: {' '.join(against)}", f"rung remote check {name}")
    cards = tuple((card["name"], card["gib"]) for card in found["cards"])
    return box, Machine(found["ram_gib"], cards) if cards else None


def is_provider(settings: Settings, name: str) -> bool:
    """True if [remotes.NAME] is a provider of tuning, not a machine."""
    place = settings.remotes.get(name)
    return place is not None and bool(place.provider)


@dataclass(frozen=True, slots=True)
class AtProvider:
    """`rung train --on NAME` at a provider."""

    project: Project
    settings: Settings
    name: str
    as_json: bool

    def train(self, folder: Path, *, detach: bool) -> None:
        """Start the job in this folder or go on with it, and say which run it became; Ctrl-C leaves it going there."""
        from rung.text.training_text import ending_lines
        from training.remote.managed import begin, follow

        job = begin(self.project, self.settings, folder, note)
        cost = "" if job.usd is None else f", {money(job.usd)} by its own estimate"
        note(f"{job.host}: {job.id} trains {job.plan}{cost}.")
        again = after(ON_PROVIDER, name=self.name)
        if detach:
            lines = [f"{job.id} at {job.host}: {job.state}.", f"Next: {again}"]
            return show(self.as_json, job.model_dump(mode="json"), lines)
        try:
            run = follow(self.project, self.settings, folder, note)
        except KeyboardInterrupt as interrupted:
            note(f"{job.id} continues at {job.host}.  Follow it: {again}   End it: {again} --cancel")
            raise typer.Exit(130) from interrupted
        show(self.as_json, run.model_dump(mode="json"), ending_lines(run))

    @staticmethod
    def refuse(given: Mapping[str, object], name: str) -> None:
        """Raise Refusal for the first of these options (name and value) that was given: they are for machines."""
        if option := next((option for option, value in given.items() if value), ""):
            raise Refusal(f"{option} is for machines; {name} is a provider.", f"rung train --on {name}", where=option)

    def cancel(self, plan: str | None) -> None:
        """End the job of this plan (P-001), or the newest one."""
        from rung.status.stages import next_step
        from training.remote.managed import cancel, newest_job

        folder = newest_job(self.project, self.name, plan)
        if folder is None:
            raise Refusal(f"{self.name} has no job{f' of {plan}' if plan else ''}.", f"rung train --on {self.name}")
        job = cancel(self.project, self.settings, folder)
        show(
            self.as_json,
            job.model_dump(mode="json"),
            [f"{job.id} at {job.host}: cancelled.", f"Next: {next_step(self.project)}"],
        )

    def job(self, plan_file: Path, overrides: Sequence[GateOverride], by: str) -> Path:
        """Return the folder of the job; made where there is none. Leaves with exit code 1 if a gate is closed."""
        from training.gates.clearance import Locked
        from training.plan.plans import read_plan
        from training.remote.managed import job_folder, order, read_job
        from training.run.base_model import PlanTokenizer

        plan = read_plan(plan_file)
        if read_job(self.project, self.settings, plan_file, self.name) is not None:
            return job_folder(self.project, plan.id, self.name)
        tokenizer = PlanTokenizer(plan.recipe.base, plan.recipe.enable_thinking)
        try:
            return order(self.project, self.settings, plan_file, self.name, tokenizer, overrides=overrides, by=by)
        except Locked as locked:
            show_locked(locked.gates, self.as_json)


def faults(found: JsonObject, name: str) -> list[str]:
    """Return the reasons why the machine cannot train, each with the next step; empty if it can."""
    lacks = []
    install = f"rung remote check {name} --install"
    if found["rung"] != __version__:
        has = f"Rung is {found['rung']}" if found["rung"] else "Rung is missing"
        lacks.append(f"{has}, here it is {__version__}: {install}.")
    elif found["torch"] is None:
        lacks.append(f"torch is missing: {install}.")
    if found["disk_free_gib"] < LEAST_DISK:
        lacks.append(f"{found['disk_free_gib']:g} GiB of disk are free; {LEAST_DISK:g} are the least.")
    return lacks

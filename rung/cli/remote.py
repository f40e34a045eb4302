"""`rung remote check`: the machines of [remotes.NAME] on which `rung train --on NAME` trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json

if TYPE_CHECKING:
    from training.plan.machine import Machine
    from training.remote.connection import Box
    from workspace.folder import Project
    from workspace.json_types import JsonObject
    from workspace.settings import Settings

remote_app = typer.Typer(help="Machines that train for you: [remotes.NAME] in rung.toml.", no_args_is_help=True)
LEAST_DISK = 5.0
"""GiB of free disk below which a check warns: a base model and its checkpoints need more."""


@dataclass(frozen=True, slots=True)
class ReachedBox:
    """A machine that answered, and what it has; `machine` is None without a card: the plan is then for this one."""

    box: Box
    machine: Machine | None


@remote_app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The machine of [remotes.NAME].")],
    install: Annotated[
        bool, typer.Option("--install", help="Install this version of Rung there, in an environment of its own.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a machine has: cards, memory, disk, Python, Rung. Exit 1 if it cannot train."""
    from rung.cli.output import note, show
    from training.remote.connection import open_box
    from workspace.settings import opened_project

    project, settings = opened_project()
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
        "" if against else f"Next: rung train --on {name} --at-most 3h",
    ]
    show(as_json, {"name": name, "host": box.place.host, **found, "faults": against}, lines)
    if against:
        raise typer.Exit(1)


def reached(project: Project, settings: Settings, name: str) -> ReachedBox:
    """The machine, if it can train. Raises Refusal with all that is missing there."""
    from training.plan.machine import Machine
    from training.remote.connection import open_box
    from workspace.errors import Refusal

    box = open_box(project, settings, name)
    found = box.ask("look", folder=box.place.folder)
    if against := faults(found, name):
        raise Refusal(f"{name}: {' '.join(against)}", f"rung remote check {name}")
    cards = tuple((card["name"], card["gib"]) for card in found["cards"])
    return ReachedBox(box, Machine(found["ram_gib"], found["cores"], cards) if cards else None)


def faults(found: JsonObject, name: str) -> list[str]:
    """Why the machine cannot train, each with the way on; empty where it can."""
    from rung import __version__

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

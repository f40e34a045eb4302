"""Shared by the commands of `rung review`: the group, the reviewer's name, the project's desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from curation.review import Desk

review_app = typer.Typer(help="Review rows: on a screen, in a browser, or by script.", rich_markup_mode=None)

Reviewer = Annotated[str, typer.Option("--reviewer", metavar="NAME", help="Name of the reviewer.")]
Automatic = Annotated[
    bool, typer.Option("--automatic", help="The reviewer is a program; it never counts as expert review.")
]


def desk_here() -> Any:
    """The desk of the project here, as a context that closes its store."""
    import contextlib

    from curation.review import open_desk
    from workspace.folder import require_project
    from workspace.settings import load_settings

    @contextlib.contextmanager
    def opened() -> Any:
        project = require_project()
        desk = open_desk(project, load_settings(project.settings_file))
        with desk.store:
            yield desk

    return opened()


def person_of(desk: Desk, reviewer: str) -> str:
    """Return the reviewer's name, by default rung.toml's person."""
    return reviewer or desk.settings.project.person

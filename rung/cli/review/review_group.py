"""Shared by the commands of `rung review`: the group, the reviewer's name, the project's desk."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from workspace.settings import opened_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from curation.review import Desk

review_app = typer.Typer(help="Review rows: on a screen, in a browser, or by script.", rich_markup_mode=None)

Reviewer = Annotated[str, typer.Option("--reviewer", metavar="NAME", help="Name of the reviewer.")]
Automatic = Annotated[
    bool, typer.Option("--automatic", help="The reviewer is a program; it never counts as expert review.")
]


@contextlib.contextmanager
def desk_here() -> Iterator[Desk]:
    """Open the desk of the project here; its store is closed after the block."""
    from curation.review import open_desk

    desk = open_desk(*opened_project())
    with desk.store:
        yield desk


def person_of(desk: Desk, reviewer: str) -> str:
    """Return the reviewer's name, by default rung.toml's person."""
    return reviewer or desk.settings.project.person

"""The hidden folder that a release is made in: whole, it takes its place; else it goes, and the last release stands."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from training.release.current import last_stood, read_current, settle
from training.release.record import number_of
from training.run.ending import is_disk_full
from workspace.errors import RungError
from workspace.folder import Project, next_id
from workspace.lock import writer_lock
from workspace.settings import Settings


@contextlib.contextmanager
def working(project: Project, settings: Settings) -> Iterator[Path]:
    """A folder `.L-002` to make release L-002 in, one at a time; renamed by then or gone.

    Raises RungError in one sentence where the disk is full.
    """
    with writer_lock(project.releases / ".lock", "A release"):
        settle(project, settings)
        work = _work(project)
        try:
            yield work
        except RungError:
            raise
        except Exception as error:
            if not is_disk_full(error):
                raise
            free = shutil.disk_usage(project.releases).free / 1e9
            raise RungError(
                f"{work.name.removeprefix('.')} was not released: the disk is full ({free:.2f} GB left). "
                "What was released before stands.",
                "Make room, then the same command again.",
                where=str(project.releases),
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _work(project: Project) -> Path:
    """A hidden folder beside the releases; what a killed release left is removed."""
    for left in project.releases.glob(".L-*"):
        left.unlink() if left.is_symlink() or left.is_file() else shutil.rmtree(left, ignore_errors=True)
    work = project.releases / f".{_free(project)}"
    work.mkdir(parents=True)
    return work


def _free(project: Project) -> str:
    """An id that no folder has and none had that ever stood: it may stand in events and on servers.

    Raises RungError where current.json cannot be read, before anything is made.
    """
    stood = last_stood(read_current(project))
    free = next_id(project.releases, "L")
    return free if number_of(free) > stood else f"L-{stood + 1:03d}"

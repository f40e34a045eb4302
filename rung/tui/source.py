"""Data for screens, and the clock: injected, so that screens are tested without sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from textual.message import Message

from rung.status.stages import Status
from workspace.errors import RungError
from workspace.folder import Project, find_project
from workspace.settings import Settings, load_settings


class StatusRead(Message):
    """The project's status was read; `partial` where the store was not asked yet."""

    def __init__(self, status: Status, *, partial: bool) -> None:
        super().__init__()
        self.status = status
        self.partial = partial


@dataclass
class ScreenSource:
    """One folder, its project if it is one, and two clocks: `moment` for durations, `now` for times of day."""

    folder: Path
    project: Project | None
    moment: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = field(default=lambda: datetime.now().astimezone())
    tick: float = 0.25
    """Seconds between two looks at `moment` while a screen waits for something."""
    who: str = ""
    """The person where another one than rung.toml's sits here."""
    _kept: tuple[tuple[int, int], tuple[Settings, str]] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, folder: Path) -> ScreenSource:
        """Return the source for a folder: the project that holds it, or none."""
        return cls(folder.resolve(), find_project(folder))

    @property
    def settings(self) -> Settings:
        """The project's settings; the defaults where rung.toml is missing or wrong (`fault` then says why)."""
        return self._read()[0]

    @property
    def fault(self) -> str:
        """Return the fault of rung.toml in one sentence; empty if there is none."""
        return self._read()[1]

    def _read(self) -> tuple[Settings, str]:
        """Settings and fault, read again only where the file has changed."""
        path = self._project.settings_file
        try:
            stat = path.stat()
            key = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            key = (0, 0)
        if self._kept is None or self._kept[0] != key:
            try:
                found = load_settings(path), ""
            except RungError as error:
                found = Settings(), error.message
            self._kept = (key, found)
        return self._kept[1]

    @property
    def settings_read(self) -> tuple[int, int]:
        """Time and size of rung.toml as it was read: another one where the settings may have changed."""
        self._read()
        return self._kept[0] if self._kept else (0, 0)

    @property
    def person(self) -> str:
        """Return the name of the person at this terminal."""
        return self.who or self.settings.project.person

    @property
    def title(self) -> str:
        """Return the project's name."""
        return self.settings.project.name or self._project.name

    @property
    def _project(self) -> Project:
        return self.project or Project(self.folder)

    def clock(self) -> str:
        """Return the time of day as screens print it: 14:02."""
        return self.now().strftime("%H:%M")

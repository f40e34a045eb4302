"""The page and the Watch screen: before a log, before and after measuring, and that row text is only shown."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from as_logged import litellm
from clinic_phrases import phrases
from conftest_tui import running, until

from rung.report.watch_page import write_watch_page
from rung.tui.app import RungApp
from rung.tui.release.monitoring_screen import WatchScreen
from rung.tui.release.release_screen import ReleaseScreen
from rung.tui.source import ScreenSource
from training.monitoring.drift import measure
from training.monitoring.log_import import read_logs, take_in
from workspace.folder import Project
from workspace.settings import load_settings

HOSTILE = "\x1b[31m [red]x[/] <script>alert(1)</script> \u202eevil"


def shows(folder: Path, words: str) -> str:
    """The lines of the Watch screen at 80x24, once these words stand there."""

    async def drawn() -> str:
        app = RungApp(ScreenSource.of(folder))
        async with running(app) as pilot:
            screen = WatchScreen()
            app._show(screen)

            def text() -> str:
                return "\n".join([*(entry.text for entry in screen.lines.entries), screen.next])

            await until(pilot, lambda: screen.is_drawn and words in text())
            return text()

    return asyncio.run(drawn())


def test_the_screen_says_what_is_due(project: Project, house: Project, ask: Any, write: Callable[..., Path]) -> None:
    assert "Locked: nothing is released yet." in shows(project.root, "Locked")
    assert "Next: rung watch import LOGS" in shows(house.root, "Next: rung watch import")
    log = write([ask(f"{text} {HOSTILE}", "I'm sorry, I cannot.") for text in phrases(40, 5)])
    take_in(house, read_logs([log], keep_rejects=False))
    assert "40 requests in 1 import, not measured yet." in shows(house.root, "Next: measure what has changed.")
    report = measure(house, load_settings(house.settings_file, {}))
    text = shows(house.root, "Next: queue requests for review, errors first.")
    assert "Production has changed" in text and "✗ Refusals" in text and "\x1b" not in text
    page = house.root / "watch.html"
    write_watch_page(page, report)
    html = page.read_text()
    assert "Production has changed" in html and "<script" not in html and "\x1b" not in html and "\u202e" not in html
    assert "http" not in html.replace("http-equiv", ""), "nothing is fetched"


def test_the_screen_says_when_another_release_is_current(house: Project, ask: Any, write: Callable[..., Path]) -> None:
    log = write([ask(text, "E13 OS") for text in phrases(40, 5)])
    take_in(house, read_logs([log], keep_rejects=False))
    measure(house, load_settings(house.settings_file, {}))
    assert "Next: queue requests for review" in shows(house.root, "Next: queue requests")
    shutil.copytree(house.releases / "L-001", house.releases / "L-002")
    release = house.releases / "L-002" / "release.json"
    release.write_text(release.read_text().replace('"id": "L-001"', '"id": "L-002"'))
    text = shows(house.root, "Next: measure again.")
    assert "! Measured against L-001; the release is now L-002." in text


def test_low_ratings_say_of_how_many(house: Project, write: Callable[..., Path]) -> None:
    rated = [litellm(n, text, "E13 OS", metadata={"rating": "up"}) for n, text in enumerate(phrases(70, 5))]
    take_in(house, read_logs([write([*rated, litellm(99, "q", "a")])], keep_rejects=False))
    measure(house, load_settings(house.settings_file, {}))
    assert "✓ Low ratings, of 70         0.0%       0.0%   1.000" in shows(house.root, "Next: queue requests")


def test_its_commands_are_not_those_of_release(house: Project) -> None:
    """A report that is measured is no form that is made: Release says nothing of it, and `x` there does not stop it."""

    async def seen() -> tuple[object, object, bool]:
        app = RungApp(ScreenSource.of(house.root))
        async with running(app) as pilot:
            watch, release = WatchScreen(), ReleaseScreen()
            app._show(watch)
            await until(pilot, lambda: watch.is_drawn)
            watch.start_job("watch", "report")
            here = watch.job
            app._show(release)
            await until(pilot, lambda: release.is_drawn)
            return here, release.job, "stop" in str(release.hints())

    here, there, stoppable = asyncio.run(seen())
    assert here is not None and there is None and not stoppable

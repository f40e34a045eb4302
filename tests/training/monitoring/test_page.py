"""The page of a report: what changed, and row text as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinic_phrases import phrases

from rung.report.watch_page import write_watch_page
from training.monitoring.drift import measure
from training.monitoring.log_import import read_logs, take_in
from workspace.folder import Project
from workspace.settings import load_settings

HOSTILE = "\x1b[31m [red]x[/] <script>alert(1)</script> \u202eevil"


def test_row_text_cannot_act_on_the_page(house: Project, ask: Any, write: Callable[..., Path]) -> None:
    log = write([ask(f"{text} {HOSTILE}", "I'm sorry, I cannot.") for text in phrases(40, 5)])
    take_in(house, read_logs([log], keep_rejects=False))
    page = house.root / "watch.html"
    write_watch_page(page, measure(house, load_settings(house.settings_file, {})))
    html = page.read_text()
    assert "Production has changed" in html and "<script" not in html and "\x1b" not in html and "\u202e" not in html
    assert "http" not in html.replace("http-equiv", ""), "nothing is fetched"

"""Sizes, symbols, colours, the mouse, the menu, and row text that tries to be more than text."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest_tui import STAGES, opened, playing, press, settled, text_of, until
from test_f1 import TEXTUALS_OWN, f1_tells_the_truth
from vouched import rewrite

from evaluation.measurement_report import newest_report
from rung.tui.screens.page_screen import KeysScreen, words_of
from rung.tui.widgets.line import NAMED, NOT_A_KEY, fitting
from rung.tui.widgets.lines import MEANINGS, Entry

SIZES = [(60, 20), (80, 24), (120, 40), (160, 50)]


@pytest.mark.parametrize(
    "size", [*SIZES[:3], pytest.param(SIZES[3], marks=pytest.mark.slow)]
)  # test_commands: 160 wide
async def test_every_stage_at_every_size(project, program, size, monkeypatch):
    """Its lines, its key line, and what F1, the menu and the mouse reach; 0 is Start; the smallest without UTF-8."""
    if size == SIZES[0]:
        monkeypatch.setenv("RUNG_ASCII", "1")
    async with playing(program(project), size=size) as (app, pilot):
        for number in range(11):
            if number:
                await opened(pilot, number)
                await settled(pilot)
            stays_in_its_lines(app, size)
            assert size != SIZES[0] or text_of(app).isascii(), [c for c in text_of(app) if not c.isascii()]
            assert not number or app.screen.query_one("#side").display == (size[0] >= 80 and not hides_side(app))
            if size == (80, 24):
                await f1_tells_the_truth(pilot)
                await the_menu_holds_every_action(pilot)
            elif size == (120, 40) and number in (3, 4, 9):  # the frame is the same everywhere
                await the_mouse_helps_copies_and_opens(pilot, number)


def stays_in_its_lines(app, size):
    """Nothing is cut: the key line and the next step, which stay in the smallest terminal."""
    screen = app.screen
    lines = text_of(app).split("\n")
    assert len(lines) == size[1] and any(line.strip() for line in lines[2:-2])
    hints = list(screen.hints())
    shown = fitting(hints, size[0])
    assert all(f"{key} {word}" in lines[-1] for key, word in shown) and ("F1", "help") in shown
    assert len(screen.keys) <= 6 and (size[0] < 80 or set(hints) - {("^P", "menu")} <= set(shown))
    for key, _ in hints:
        if key not in NOT_A_KEY or key == "[ ]":
            for one in {"j/k": ["j", "k"], "[ ]": ["left_square_bracket"]}.get(key, [NAMED.get(key, key)]):
                assert one in screen.active_bindings, key
    if screen.next:
        assert screen.next.split(".")[0][:20] in text_of(app)


async def the_menu_holds_every_action(pilot):
    """Every binding but those of the frame, and the command of the screen to copy."""
    app, screen = pilot.app, pilot.app.screen
    commands = {command.title.lower(): command for command in app.get_system_commands(screen)}
    for active in screen.active_bindings.values():
        action = active.binding.action
        if active.enabled and words_of(active) and not action.startswith(("stage(", "app.", "command_p", "quit")):
            assert words_of(active).lower() in commands
    assert not commands.keys() & {*map(str.lower, TEXTUALS_OWN), "keys", "maximize"}
    copies = next(words_of(b) for b in screen.active_bindings.values() if b.binding.action == "copy_command").lower()
    commands[copies].callback()
    await until(pilot, lambda: app.clipboard == screen.command)


async def the_mouse_helps_copies_and_opens(pilot, number):
    """A click on the key line, on the command and on another stage."""
    app, screen = pilot.app, pilot.app.screen
    await pilot.click("#keys", offset=(screen.query_one("#keys").words.index("F1 help") + 1, 0))
    await until(pilot, lambda: isinstance(app.screen, KeysScreen))
    await pilot.press("escape")
    await until(pilot, lambda: app.screen is screen)
    await pilot.click("#command", offset=(4, 0))
    await until(pilot, lambda: screen.message == "copied")
    other = 9 if number != 9 else 8
    await pilot.click("#side", offset=(6, other))
    await until(pilot, lambda: getattr(app.screen, "stage", "") == STAGES[other - 1])


def hides_side(app):
    return app.screen.hides_side and app.size.width < 100


BOTH = {"classical": 0.845, "encoder": 0.904}


async def test_start_draws_the_ladder_with_both_classifiers_where_there_is_room(clinic, program):
    folder, report = newest_report(clinic, "baseline")
    more = [report.arms[0].model_copy(update={"arm": name, "score": score}) for name, score in BOTH.items()]
    rewrite(folder / "report.json", type(report), arms=[*report.arms, *more])
    async with playing(program(clinic.root), size=(120, 40)) as (app, pilot):
        assert app.status.as_json()["ladder"]["classifier"] == 0.904  # the better one
        lines = text_of(app).split("\n")
        decided, of = app.status.reviewed
        assert of and any("━" in line and re.search(rf"\b{decided:,} of {of:,}\b", line) for line in lines)
        assert any("o" in line and "├" in line for line in lines)
        for size in ((120, 40), (80, 24)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            for name, score in (("classifier", "84.5%"), ("encoder", "90.4%")):
                assert re.search(rf"{name} +{score}", text_of(app))
        assert "├" not in text_of(app) and "━" not in text_of(app)


def test_the_locale_decides_where_nobody_says():
    code = r"from rung.symbols import drawn; print(ascii(drawn('\u2713 \u25b8 \u2502')))"
    for locale, expected in (("C", "'+ > |'"), ("C.UTF-8", "'\\u2713 \\u25b8 \\u2502'")):
        environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        environment.pop("RUNG_ASCII", None)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def luminance(colour):
    """As WCAG 2 defines it, of a colour in three bytes."""
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_themes_change_no_words_and_every_meaning_can_be_read_also_under_the_cursor(project, program):
    async with playing(program(project)) as (app, pilot):
        before = text_of(app)
        for theme in ("textual-light", "textual-dark", "dracula", "high-contrast", "ansi-dark", "ansi-light"):
            app.theme = theme
            await settled(pilot)
            assert text_of(app) == before, theme
            if theme.startswith("ansi"):  # the terminal's own colours
                continue
            await press(pilot, "2")
            lines = app.screen.query_one("#lines")
            lines.show([Entry(f"✓ {name}", name, name) for name in sorted(MEANINGS - {"marked"})])
            await settled(pilot)
            region = lines.region
            for strip in app.screen._compositor.render_strips()[region.y : region.y + 4]:
                for segment in strip.crop(region.x, region.right):
                    if segment.text.strip():
                        pair = (segment.style.color.triplet, segment.style.bgcolor.triplet)
                        low, high = sorted(luminance(colour) for colour in pair)
                        assert (high + 0.05) / (low + 0.05) >= 3, (theme, segment.text)
            await press(pilot, "escape")

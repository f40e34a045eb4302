"""Sizes, symbols, colours; F1, the menu and the mouse reach everything on every screen and on the pages over it."""

import os
import re
import subprocess
import sys

import ladder
import pytest
from conftest_tui import STAGES, on_stage, opened, playing, press, running, settled, text_of, until
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.command import CommandList, CommandPalette
from vouched import rewrite

from evaluation.measurement_report import newest_report
from rung.tui.advice.questions_screen import JumpScreen
from rung.tui.measure.items_screen import ItemsScreen
from rung.tui.review.review_modals import GuidelineScreen
from rung.tui.screens.page_screen import KeysScreen, PageScreen, SignScreen, WhyScreen, rank, words_of
from rung.tui.widgets.line import NAMED, NOT_A_KEY, YES_OR_NO, fitting
from rung.tui.widgets.lines import MEANINGS, Entry, folded
from workspace.artefact import revised


# test_commands: 160 wide
@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), pytest.param((160, 50), marks=pytest.mark.slow)])
async def test_every_stage_at_every_size(project, program, size, monkeypatch):
    """Its lines, its key line, and what F1, the menu and the mouse reach; 0 is Start; the smallest without UTF-8."""
    if size == (60, 20):
        monkeypatch.setenv("RUNG_ASCII", "1")
    async with playing(program(project), size=size) as (app, pilot):
        for number in range(11):
            if number:
                await opened(pilot, number)
            stays_in_its_lines(app, size)
            assert size != (60, 20) or text_of(app).isascii(), [c for c in text_of(app) if not c.isascii()]
            least = 100 if app.screen.hides_side else 80
            assert not number or app.screen.query_one("#side").display == (size[0] >= least)
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


async def test_start_draws_the_ladder_with_both_classifiers_where_there_is_room(clinic, program):
    folder, report = newest_report(clinic, "baseline")
    both = {"classical": 0.845, "encoder": 0.904}
    more = [revised(report.arms[0], arm=name, score=score) for name, score in both.items()]
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


TEXTUALS_OWN = {"Focus Next", "Focus Previous", "Copy selected text", "Move cursor left", "Delete character left"}


async def f1_tells_the_truth(pilot):
    """Press F1, compare the list with the screen's bindings, press it again."""
    app = pilot.app
    screen = app.screen
    await until(pilot, lambda: bool(screen.active_bindings))
    enabled = [found for found in screen.active_bindings.values() if found.enabled]
    real = {words_of(found) for found in enabled} - {""}
    assert not real & TEXTUALS_OWN
    assert real
    await pilot.press("f1")
    await until(pilot, lambda: isinstance(app.screen, KeysScreen))
    assert {words for _, words in app.screen.rows} == real
    ranks = [rank(next(found for found in enabled if words_of(found) == words)) for _, words in app.screen.rows]
    assert ranks == sorted(ranks), "the screen's own keys stand first, the toolkit's last"
    assert not [words for words in real if "row 2" in words], "rows have other numbers where the terminal is taller"
    await pilot.press("f1")
    await until(pilot, lambda: app.screen is screen)


MODALS = (
    lambda project: PageScreen("Title", "text"),
    lambda project: WhyScreen("decision"),
    lambda project: ItemsScreen(project.evaluations / "E-001", None),
    lambda project: SignScreen("Decide", "about", "sam", "decide it"),
    lambda project: GuidelineScreen(1, "text"),
)


async def test_f1_on_pages_over_a_stage(clinic, program):
    async with on_stage(program(clinic.root), 6) as (app, pilot, _):
        for page in MODALS:
            app.push_screen(page(clinic))
            await until(pilot, lambda: app.screen.is_mounted and not hasattr(app.screen, "stage"))
            await f1_tells_the_truth(pilot)
            await pilot.press("escape")
            await until(pilot, lambda: getattr(app.screen, "stage", "") == "Baselines")


async def test_f1_while_a_question_is_sought_and_an_answer_written(project, program):
    async with on_stage(program(project), 1) as (app, pilot, _):
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await f1_tells_the_truth(pilot)
        await pilot.press("escape")
        await opened(pilot, 4)
        await until(pilot, lambda: app.screen.item is not None and not app.screen.busy)
        await pilot.press("e")
        await until(pilot, lambda: app.screen.is_editing)
        await f1_tells_the_truth(pilot)
        assert app.screen.is_editing


async def test_the_mouse_makes_a_project_opens_stages_and_answers(tmp_path, program):
    app = program(tmp_path)
    async with running(app, (120, 40)) as pilot:
        await pilot.pause()
        first = row_of(app, "1  ") - app.screen.choices.region.y
        await pilot.click("#choices", offset=(5, first + 1))
        await until(pilot, lambda: app.screen.choices.marked == "2")
        await pilot.click("#choices", offset=(5, first))
        await pilot.click("#choices", offset=(5, first))
        await until(pilot, lambda: (tmp_path / "rung.toml").is_file())
        await settled(pilot)
        at = (10, row_of(app, "Advice") - app.screen.query_one("#stages").region.y)
        await pilot.click("#stages", offset=at)
        await settled(pilot)
        await pilot.click("#stages", offset=at)
        await settled(pilot)
        assert app.screen.stage == "Advice"
        await pilot.click("#side", offset=(5, 1))
        await settled(pilot)
        assert app.screen.stage == "Questions"
        first = app.screen.asked.id
        await pilot.click("#answers", offset=(5, 1))
        await pilot.click("#answers", offset=(5, 1))
        await settled(pilot)
        assert app.screen.asked.id != first
    assert f"{first} = " in (tmp_path / "answers.toml").read_text()


async def test_an_action_is_found_and_done_by_typing(clinic, program):
    async with on_stage(program(clinic.root), 6) as (_, pilot, screen):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette) and pilot.app.screen.is_mounted)
        await press(pilot, *"where the report")
        await until(pilot, lambda: pilot.app.screen.query_one(CommandList).highlighted is not None)
        await pilot.press("enter")
        await until(pilot, lambda: screen.message == "evaluations/E-001/report.html")


def row_of(app, words):
    return next(n for n, line in enumerate(text_of(app).split("\n")) if words in line)


async def test_the_mouse_marks_a_row_acts_on_it_and_answers_the_question(clinic, program):
    ladder.ruled_on(clinic, ladder.ITEMS)
    async with on_stage(program(clinic.root), 10, size=(120, 30)) as (app, pilot, screen):
        row, first = (row_of(app, form) - 2 for form in ("○ vllm", "○ adapter"))
        await pilot.click("#lines", offset=(6, row))
        await until(pilot, lambda: screen.marked == "vllm")
        assert screen.command == "rung release R-001 --to vllm"
        await pilot.click("#lines", offset=(6, row))
        await until(pilot, lambda: "vllm" in screen.question)
        await pilot.click("#command", offset=(120 - 4, 0))
        await until(pilot, lambda: not screen.question)
        await pilot.click("#lines", offset=(6, first))
        await until(pilot, lambda: screen.marked == "adapter")
        await pilot.click("#next", offset=(4, 0))
        await until(pilot, lambda: "adapter" in screen.question)
        await pilot.click("#command", offset=(120 - len(YES_OR_NO) + 3, 0))
        await until(pilot, lambda: not app.jobs and not screen.question and not screen.started)
    assert (clinic.releases / "L-001" / "adapter").is_dir()


MIXED = st.text(alphabet="ab é漢ア \u0301\U0001f469\u200d🦀", max_size=120)


@given(MIXED, st.integers(20, 40))
def test_no_line_is_too_wide_and_only_spaces_are_lost(text, width):
    lines = folded(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())

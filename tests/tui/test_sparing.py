"""Over a slow line a key costs the cells that it changes; what the terminal shows is what a full drawing would show."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest_tui import settled
from lives import wait_until
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from terminal import Terminal
from textual._compositor import CompositorUpdate, InlineUpdate, LayoutUpdate
from textual.geometry import Region, Size
from textual.strip import Strip

import rung.tui.app
import rung.tui.sparing
from curation.example import Example, chat_row
from curation.store import NewRow, open_store
from rung.tui.app import RungApp
from rung.tui.source import Source
from rung.tui.sparing import Sent, Spared
from workspace.folder import Project
from workspace.settings import load_settings

SIZE = Size(20, 2)
RED, BLUE = Style(color="red"), Style(color="blue")
CONSOLE = Console(color_system="standard", force_terminal=True)


def sent(glass, *rows, size=SIZE):
    """What goes to the terminal when these rows are drawn."""
    strips = [[strip if isinstance(strip, Strip) else line(strip)] for strip in rows]
    update = LayoutUpdate(strips, Region(0, 0, size.width, len(rows)))
    return glass.sparing(update, size, CONSOLE).render_segments(CONSOLE)


def line(text, style=RED):
    return Strip([Segment(text, style)]).adjust_cell_length(SIZE.width, style)


def test_the_same_again_costs_nothing_and_a_change_only_itself():
    glass = Sent()
    first = sent(glass, "one of many words", "two")
    assert "one of many words" in first
    assert sent(glass, "one of many words", "two") == ""
    assert sent(glass, "one or many words", "two") == "\x1b[1;6H\x1b[0;31mr\x1b[0m"
    assert sent(glass, "one or many words", line("two", BLUE)).startswith("\x1b[2;1H\x1b[0;34mtwo")


def test_changes_that_are_far_apart_go_each_for_itself():
    glass = Sent()
    sent(glass, "a234567890b2345678c")
    assert sent(glass, "A234567890b2345678C") == "\x1b[1;1H\x1b[0;31mA\x1b[1;19HC\x1b[0m"


def test_where_something_else_was_drawn_everything_is_sent_again():
    glass = Sent()
    whole = sent(glass, "one", "two")
    glass.forget()
    assert sent(glass, "one", "two") == whole
    assert sent(glass, "one", "two", size=Size(21, 2)) == whole


@pytest.mark.parametrize("odd", ["漢字", "e\u0301", "👩\u200d💻", "नमस्ते", "\u200f"])
def test_a_row_whose_width_a_terminal_may_see_otherwise_is_sent_whole(odd):
    glass = Sent()
    sent(glass, f"{odd} and words", "two")
    again = sent(glass, f"{odd} and wordy", "two")
    assert f"{odd} and wordy" in again
    assert "two" not in again
    assert "plain and words" in sent(glass, "plain and words", "two")


def test_what_is_not_known_is_sent_whole_and_everything_after_it():
    glass = Sent()
    sent(glass, "one", "two")
    unknown = InlineUpdate([line("other")])
    assert glass.sparing(unknown, SIZE, CONSOLE) is unknown
    assert "one" in sent(glass, "one", "two")


def test_an_update_that_cannot_be_cut_down_is_sent_whole_and_one_never_written_is_not_remembered(monkeypatch):
    glass, update = Sent(), LayoutUpdate([[line("one")]], Region(0, 0, SIZE.width, 1))
    Spared(update, glass, SIZE)
    assert "one" in Spared(update, glass, SIZE).render_segments(CONSOLE)
    assert Spared(update, glass, SIZE).render_segments(CONSOLE) == ""
    with monkeypatch.context() as patched:
        patched.setattr(rung.tui.sparing, "pieces_of", lambda update: [].other)  # type: ignore[attr-defined]
        assert Spared(update, glass, SIZE).render_segments(CONSOLE) == update.render_segments(CONSOLE)
    assert "one" in Spared(update, glass, SIZE).render_segments(CONSOLE)


OTHERS = {
    "names": "sys.modules['textual._compositor'] = types.ModuleType('textual._compositor')",
    "file": "sys.modules['textual._compositor'] = None",
    "strips": "import rung.tui.sparing; rung.tui.sparing.pieces_of = None",
}
"""What another Textual may lack, once the app of this one is loaded."""
RUN = """
import sys, types, textual.app, textual.screen
{other}
from pathlib import Path
from rung.tui.app import RungApp
from rung.tui.source import Source
RungApp(Source.of(Path(sys.argv[1]))).run()
"""


@pytest.mark.parametrize("other", OTHERS)
def test_on_a_textual_that_lacks_what_is_used_here_the_program_draws_all_the_same(project, other):
    pid, screen = pty.fork()
    if not pid:
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        os.execv(sys.executable, [sys.executable, "-P", "-c", RUN.format(other=OTHERS[other]), str(project)])
    try:
        heard(screen, b"The ladder")
        os.write(screen, b"2")
        heard(screen, b"rulebook")
        os.write(screen, b"\x11")
        heard(screen, b"\x1b[?1049l")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(screen)


def heard(screen, words, seconds=60):
    """What the program writes until these words stand in it."""
    found, deadline = b"", time.monotonic() + seconds
    while words not in found:
        ready, _, _ = select.select([screen], [], [], max(deadline - time.monotonic(), 0))
        assert ready, (words, found[-3000:])
        try:
            found += os.read(screen, 65_536)
        except OSError:
            raise AssertionError((words, found[-3000:])) from None
    return found


pytest_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Counted(Terminal):
    """A terminal that counts what the program sends."""

    def count(self, file):
        self.file = file
        self.tmux("pipe-pane", "-t", "rung", f"cat >> {file}")

    def cost(self, *keys):
        before = self.quiet()
        self.keys(*keys)
        wait_until(lambda: self.file.stat().st_size > before)
        return self.quiet() - before

    def quiet(self):
        """Bytes so far, once nothing has come for a while."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < 2.0:
            if (now := self.file.stat().st_size) != size:
                size, since = now, time.monotonic()
            time.sleep(0.05)
        return size


@pytest.fixture
def terminal():
    made = Counted()
    yield made
    made.end()


@pytest_tmux
def test_a_key_costs_what_it_changes_and_a_stage_at_most_two_screens(terminal, project, tmp_path):
    (tmp_path / "bytes").touch()
    terminal.start(project)
    terminal.count(tmp_path / "bytes")
    terminal.see("all saved")
    assert terminal.cost("j") < 400  # the cursor, and the reason of a locked stage
    terminal.cost("1")
    terminal.see("of about")
    assert terminal.cost("j") < 600  # the cursor and the example of the answer
    terminal.cost("Escape")
    assert terminal.cost("4") < 6_000


CONTROL = re.compile(
    r"\x1b\[(\d+);(\d+)H|\x1b\[([0-9;]*)m|\x1b\]8;[^\x1b]*\x1b\\\\|\x1b\[\?[0-9]+[hl]|\n|(.)", re.DOTALL
)


class Glass:
    """A terminal that knows how to go to a place, how to look, and how wide a character is."""

    def __init__(self):
        self.cells = {}

    def feed(self, written):
        x = y = 0
        look = ""
        for found in CONTROL.finditer(written):
            row, column, codes, character = found.groups()
            if row:
                x, y = int(column) - 1, int(row) - 1
            elif codes is not None:
                look = codes.removeprefix("0;").removeprefix("0")
            elif character and cell_len(character):
                self.cells[x, y] = (character, look)
                for beside in range(1, cell_len(character)):
                    self.cells[x + beside, y] = ("", look)
                x += cell_len(character)


class Watched(RungApp):
    """The program, with one terminal that gets all that Textual sends and one that gets what is sent here."""

    CSS_PATH = Path(rung.tui.app.__file__).with_name("app.tcss")
    whole, spared, bytes_whole, bytes_spared = Glass(), Glass(), 0, 0

    def _display(self, screen, renderable):
        if isinstance(renderable, CompositorUpdate):
            console = Console(color_system="256", force_terminal=True)
            everything = renderable.render_segments(console)
            part = self.sent.sparing(renderable, self.size, console).render_segments(console)
            self.whole.feed(everything)
            self.spared.feed(part)
            self.bytes_whole += len(everything)
            self.bytes_spared += len(part)
            assert self.spared.cells == self.whole.cells
        super()._display(screen, renderable)


@pytest.mark.parametrize("size", [(80, 24), (132, 43), (60, 20)])
async def test_what_stands_there_is_what_everything_sent_would_show(project, size):
    opened = Project(project)
    with open_store(opened, load_settings(opened.settings_file)) as store:
        odd = [chat_row(f"漢字 {n} e\u0301 👩\u200d💻 नमस्ते שלום", "ok 仮名") for n in range(3)]
        store.add([NewRow(Example(row), line=n) for n, row in enumerate(odd)], role="test")
    app = Watched(Source.of(project))
    app.whole, app.spared = Glass(), Glass()
    chance = random.Random(7)
    async with app.run_test(size=size) as pilot:
        for key in ["4", *"sssasnsv", "escape", *chance.choices("1234567890jjkkwvg[]?b", k=40), "ctrl+l", "1", "w"]:
            await pilot.press(key)
            await pilot.pause(0.05)
        await settled(pilot)
        await pilot.resize_terminal(size[0] + 9, size[1] + 3)
        await settled(pilot)
    assert len(app.whole.cells) > size[0] * size[1]
    assert app.bytes_spared < app.bytes_whole / 3

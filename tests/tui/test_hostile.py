"""Row text, names and answers that try to be more than text: shown as characters, obeyed never."""

import time

import pytest
from conftest_tui import on_stage, press, rested, settled, text_of, until, words_in
from review_rows import begun, decided_by, log, reviewing, shown_item, stored

from curation.example import chat_row

NASTY = {
    "markup": ("[red]not red[/] [@click=app.quit]quit[/] [/]", "[red]not red[/] [@click=app.quit]quit[/] [/]"),
    "link": ("\x1b]8;;http://evil\x07click\x1b]8;;\x07", "\\u0007click"),
    "escape": ("\x1b[2J\x1b[31mred\x9b31m", "\\u001b[31mred"),
    "bidi": ("a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c"),
    "tabs": ("a\tb\t\tc", "a b"),
    "joiners": ("\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "family"),
    "right to left": ("\u05d3\u05e0\u05d4 \u0645\u062d\u0645\u062f", "\u05d3\u05e0\u05d4"),
    "line ends": ("one\rtwo\r\nthree\x0cfour\u2028five\x85six\n\nend", "three"),
    "word": ("x" * 1_000_000, "xxxxxxxx"),
    "lines": ("line\n" * 3_000, "line"),
}
"""Text of a row -> how it is drawn."""
LONG = ("word", "lines")
"""Too much for a field on the screen."""


def harmless(app):
    """Nothing that a terminal would obey is drawn."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert not segment.control
            assert not set(segment.text) & set("\x1b\x9b\x07\x00\u202e\u2066\u200f\ufeff\t\r\n\x0c\u2028\x85"), ascii(
                segment.text
            )
            assert segment.style is None or segment.style.link is None
            assert not (segment.style and segment.style.meta.get("@click"))


@pytest.mark.parametrize("names", [[name for name in NASTY if name not in LONG], *([long] for long in LONG)])
async def test_hostile_rows_are_shown_edited_and_decided(tmp_path, program, names):
    text = " ".join(NASTY[name][0] for name in names)
    long = names[0] in LONG
    folder = begun(tmp_path / "icd", (chat_row(f"question {text}", f"answer {text}"), chat_row("plain", "C")))
    async with reviewing(program(folder), size=(120, 40)) as (app, pilot, _):
        assert [name for name in names if NASTY[name][1] not in words_in(app, "#item")] == []
        harmless(app)
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        harmless(app)
        began = time.thread_time()
        await press(pilot, "e")
        if not long:
            assert app.screen.is_editing
            await press(pilot, "ctrl+end", "!")
            harmless(app)
            await pilot.press("ctrl+s")
        else:
            assert app.screen.message and not app.screen.is_editing  # too long for a field, and no terminal here
            await pilot.press("a")
        await shown_item(pilot)
        assert time.thread_time() - began < 5
        harmless(app)
    if not long:
        assert stored(folder)["r-000001"].example.answer == f"answer {text}!"
    assert len(log(folder)) == 1


async def test_hostile_names_reasons_and_guidelines(tmp_path, program):
    folder = begun(
        tmp_path / "icd",
        (chat_row("device left broke", "C1"), chat_row("device left broke again", "C1")),
        guideline="# [@click=app.quit]G[/]\n\x1b[31mred \u202eevil\n",
    )
    settings = (folder / "rung.toml").read_text()
    (folder / "rung.toml").write_text(settings + 'reasons = ["[red]wrong[/]", "\\u001b[2J gone"]\n')
    decided_by(folder, "[red]mo[/]", "r-000002", "approve")
    app = program(folder)
    app.source.who = "\u05d3\u05e0\u05d4"
    async with reviewing(app, (120, 40)) as (_, pilot, _):
        await rested(pilot)
        assert "[@click=app.quit]G[/]" in words_in(app, "#beside")
        assert "[red]mo[/]" in words_in(app, "#beside")
        harmless(app)
        await press(pilot, "g")
        assert "\\u202eevil" in text_of(app)
        harmless(app)
        await press(pilot, "escape", "ctrl+p")
        await until(pilot, lambda: "[red]mo[/]" in text_of(app))
        harmless(app)
        await press(pilot, "escape", "v")
        harmless(app)
        await press(pilot, "escape", "x")
        assert "1 [red]wrong[/]" in words_in(app, "#beside")
        harmless(app)
        await press(pilot, "1")
    row = stored(folder)["r-000001"]
    assert (row.state, row.reviewer) == ("rejected", "\u05d3\u05e0\u05d4")


async def test_hostile_questions_of_a_team_are_text(tmp_path, program):
    folder = begun(tmp_path / "icd")
    (folder / "rules").mkdir()
    (folder / "rules" / "questions.toml").write_text("")
    (folder / "answers.toml").write_text('task = "\\u001b[31m[red]evil[/]\\u202e"\n')
    async with on_stage(program(folder), 1) as (app, _, _):
        harmless(app)
        assert "\ufffd[31m[red]evil[/]\ufffd" in words_in(app)

"""Data: files that come in, and the evidence beside a finding: two rows with what only one of them has in brackets."""

import json
import re

import pytest
from conftest import rows
from conftest_tui import idle, on_stage, playing, press, settled, text_of, until
from in_process import rung
from review_rows import store_of
from textual.widgets import Input

from curation.example import Example, chat_row
from curation.store import NewRow
from rung.tui.data.import_screen import ImportScreen
from rung.tui.data.rows_screen import RowsScreen, SettleScreen, bracketed
from rung.tui.widgets.lines import Entry

TABLE = "id,said,team\n1,where is my \x1b[31m[red]card,cards\n2,I lost my pin,pins\n3,the card is blocked,cards\n"


async def preview_of(app, pilot, line):
    await pilot.press("i", *["backspace"] * 20, *line, "enter")
    await until(pilot, lambda: isinstance(app.screen, ImportScreen))
    await settled(pilot)
    return app.screen


async def test_columns_are_chosen_by_keys_remembered_by_header_and_taken_back(project, program):
    (project / "a.csv").write_text(TABLE)
    (project / "b.csv").write_text(re.sub("^.*?,", "", TABLE.replace("card", "voucher"), flags=re.MULTILINE))
    async with on_stage(program(project), 3) as (app, pilot, _):
        await pilot.press("i", *"a.c", "tab")
        assert app.screen.query_one(Input).value == "a.csv"
        await pilot.press("escape")
        shown = await preview_of(app, pilot, " a.csv")
        assert "my \\u001b[31m[red]card" in text_of(app)
        await press(pilot, "enter")  # two columns are still to be named
        assert app.screen is shown
        await press(pilot, "j", "1", "j", "2", "t")
        assert (shown.columns.question, shown.columns.answer, shown.role) == ("said", "team", "test")
        assert [row.answer for row in shown.rows] == ["cards", "pins", "cards"] and "-> pins" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: not app.jobs and "a.csv" in sources(project))
        await settled(pilot)
        for name in ("a.csv", "b.csv"):  # with another column beside those that were named, and without
            again = await preview_of(app, pilot, f"'{name}'")
            assert again.file.path.name == name
            assert (again.columns.question, again.columns.answer, again.role) == ("said", "team", "pool")
            await press(pilot, "escape")
        assert "b.csv" not in sources(project)
        await pilot.press("u")
        await until(pilot, lambda: not app.jobs and "a.csv" not in sources(project))
        await settled(pilot)
        assert not (await preview_of(app, pilot, "b.csv")).columns.named  # what was taken back is forgotten


def sources(folder):
    with store_of(folder) as store:
        return " ".join(map(str, store.sources()))


FIXED = ("leaks", "contradictions")
SAID = "Type 2 diabetes mellitus with peripheral neuropathy, painful, both feet, on insulin"
GLASS = [chat_row("How is broken glass coded, and under which chapter?", answer) for answer in ("E1", "E2")]


def added(store, role, *said):
    """These questions with an answer, or whole rows."""
    made = [chat_row(each, "E1") if isinstance(each, str) else each for each in said]
    return store.add([NewRow(Example(row), line=1) for row in made], role=role)


def test_only_the_beginning_is_shown_and_nothing_in_it_acts():
    made = bracketed("word " * 100 + "\x1b[31mend", [(0, 4), (5, 9), (300, 304)]).plain
    assert made.startswith("[word] [word] ") and made.count("[") == 3 and len(made) < 400
    assert "\x1b" not in bracketed("a \x1b[31m b", [(2, 7)]).plain


async def test_enter_shows_the_two_rows_beside_one_another_where_there_is_room(project, program):
    for name, role, more in (("one", "test", ""), ("two", "pool", " since [may]")):
        (project / f"{name}.jsonl").write_text(json.dumps(chat_row(SAID + more, "E11.42")) + "\n")
        rung("data", "import", f"{name}.jsonl", "--as", role, cwd=project)
    async with on_stage(program(project), 3, size=(80, 40)) as (app, pilot, screen):
        screen.lines.marked = "leaks"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        await until(pilot, lambda: "[since [may]]" in text_of(app))
        for width in (80, 100, 140):
            await pilot.resize_terminal(width, 40)
            await settled(pilot)
            text = text_of(app)
            assert "rung data fix leaks" in text and re.search(r"f takes out 1 row\b", text)
            both = [line for line in text.split("\n") if "one.jsonl:1" in line and "two.jsonl:1" in line]
            assert bool(both) == (width >= 100)
            for line in both:
                assert line.index("one.jsonl:1") < line.index(" │ two.jsonl:1")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)


LEAKS = {"pairs": 3, "test_items": 2, "train_rows": 3}


async def test_leaks_are_counted_alike_everywhere_and_a_second_f_waits(project, program):
    """Two test items in three train rows: the list, the fix and both JSON documents say what each number counts."""
    other = "A fracture of the left wrist, closed, after a fall from a ladder at work in October, with a plaster cast"
    with store_of(project) as store:
        added(store, "test", SAID, other)
        added(store, "pool", SAID + " [may]", SAID + " since [june]", other + " [on monday]", *GLASS)
    checked = json.loads(rung("data", "check", "--json", cwd=project).stdout)
    (leaks,) = (each for each in checked["findings"] if each["name"] == "leaks")
    assert (leaks["rows"], len(leaks["ids"]), leaks["detail"]) == (2, 3, LEAKS)
    (would,) = json.loads(rung("data", "fix", "leaks", "--dry-run", "--json", cwd=project).stdout)
    assert len(would["rows"]) == 3 and would["detail"] == LEAKS
    for words in (("check", "--show", "leaks"), ("fix", "leaks", "--dry-run")):
        assert re.search(r"\b2\b[\D\n]+\b3\b[\D\n]+\b3\b", rung("data", *words, cwd=project).stdout)
    async with on_stage(program(project), 3) as (app, pilot, screen):
        assert re.search(r"\bf: 3\b", text_of(app))
        screen.lines.marked = "leaks"
        await pilot.press("f")
        screen.lines.marked = "contradictions"
        await pilot.press("f")
        assert screen.pending == "contradictions"
        await until(pilot, lambda: not (app.jobs or screen.started or screen.pending))
        await settled(pilot)
    with store_of(project) as store:
        done = [(change.kind, change.finding) for change in store.changes() if change.finding in FIXED]
    assert done == [("exclude", "leaks"), ("queue", "contradictions")]


@pytest.mark.parametrize("left", [(), ("leaks",)])
async def test_a_waiting_fix_does_nothing_where_the_new_list_has_nothing_or_x_was_pressed(project, program, left):
    async with on_stage(program(project), 3) as (app, pilot, screen):
        screen.pending = "leaks"
        if left:
            screen.action_no_finding()
            assert not screen.pending
        screen.reload()
        await settled(pilot)
        assert not app.jobs and not screen.pending
        assert ("leaks" in screen.message) == (not left)


async def test_a_folder_is_asked_about_before_it_is_imported(project, program):
    """The field is in sight at 80x24 below more findings than the screen has lines. The question says what would come
    in; Esc takes nothing, `y` takes the files below it.
    """
    (project / "more" / "deeper").mkdir(parents=True)
    for name, start in (("more/one.jsonl", 5_100), ("more/deeper/two.jsonl", 5_200)):
        (project / name).write_text("".join(line + "\n" for line in rows(start, 3)))

    def kept():
        with store_of(project) as store:
            return len(store.rows())

    before = kept()
    async with on_stage(program(project), 3) as (app, pilot, screen):
        screen.lines.show([Entry(f"finding {number}") for number in range(60)])
        await press(pilot, "i")
        field, stage = screen.query_one("#field"), screen.query_one("#stage").region
        assert field.has_focus and field.region.height == 1 and stage.contains_region(field.region)
        assert field.region.width > stage.width - 6
        await press(pilot, "escape")
        for answer, brought in (("escape", 0), ("y", 6)):
            await pilot.press("i", *["backspace"] * 40, *"more", "enter")
            await pilot.pause()
            assert " 2 " in screen.question and " more?" in screen.question and not app.jobs
            await pilot.press(answer)
            await until(pilot, lambda: not (app.jobs or screen.started or screen.question))
            assert kept() == before + brought
        await pilot.press("i", *["backspace"] * 40, *"nowhere", "enter")
        await until(pilot, lambda: bool(screen.trouble))
        assert not screen.question and kept() == before + 6


async def test_a_contradiction_is_settled_by_a_digit(project, program):
    knife = (chat_row("Which code holds for a cut by a kitchen knife?", answer) for answer in ("E1", "E2"))
    async with on_stage(program(project), 3) as (app, pilot, screen):
        with store_of(project) as store:
            added(store, "pool", *GLASS, *knife)
        await press(pilot, "r")
        await until(pilot, lambda: screen.marked == "contradictions")  # what blocks is marked once it is found
        assert screen.lines.marked_entry.text.endswith("Enter settles")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SettleScreen))
        first, second = (pair.rows for pair in app.screen.pairs)
        await pilot.press("1", "u", "k", "2", "escape")  # the second pair stays as it is
        await idle(pilot, screen)
        with store_of(project) as store:
            (gone,) = store.rows(ids=[first[0]])
            assert first[1] in (gone.excluded or "")
            assert all(row.excluded is None for row in store.rows(ids=[first[1], *second]))
        await pilot.press("u")
        await idle(pilot, screen)
        with store_of(project) as store:
            assert all(row.excluded is None for row in store.rows(ids=list(first)))


async def test_data_that_did_not_change_is_not_checked_again(project, program):
    async with playing(program(project)) as (app, pilot):

        async def checked(*keys):
            await pilot.press(*keys)
            await until(pilot, lambda: app.screen.stage == "Data" and app.screen.data is not None)
            await until(pilot, lambda: not app.screen.started)
            assert app.screen.data is app.checked.checkup
            return app.checked

        first = await checked("3")
        assert await checked("2", "3") is first
        again = await checked("r")
        assert again is not first and again.checkup.kept == first.checkup.kept
        with store_of(project) as store:
            store.exclude([store.rows()[0].id], "of no use", "test")
        less = await checked("2", "3")
        assert less.checkup.kept == first.checkup.kept - 1
        (project / "rung.toml").write_text((project / "rung.toml").read_text() + "\n")
        assert await checked("2", "3") is not less

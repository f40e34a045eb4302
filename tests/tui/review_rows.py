"""A project with rows of every kind that a reviewer may meet, what its database says, and steps on its screen."""

import contextlib
import json
from pathlib import Path

from conftest_tui import playing, press, until
from deciding import settle
from sqlalchemy import text as sql

from curation.example import Example, chat_row
from curation.review import open_desk
from curation.store import NewRow, open_store
from curation.store.records import row_id
from rung.start import start_project
from workspace.folder import Project
from workspace.settings import load_settings

SETTINGS = """
[project]
name = "icd10-coding"
person = "dana"
[review]
pool = "all"
overlap = {overlap}
lease_seconds = 900
"""
GUIDELINE = """# Coding guideline

## 1 General
Code what the note confirms, never what it suspects.

## 2.3 Hypertension
I10 unless the note names heart or kidney disease.

## 2.4 Diabetes
Code the complication, not the symptom.
"Peripheral" neuropathy of both feet: E11.42, not E11.40.
"""
NERVE = "E11.40 - Type 2 diabetes mellitus with diabetic neuropathy, unspecified"
POLY = "E11.42 - Type 2 diabetes mellitus with diabetic polyneuropathy"
PLAIN = (
    chat_row("Type 2 diabetes with peripheral neuropathy, painful, both feet", NERVE),
    chat_row("Type 2 diabetes with peripheral neuropathy of the left foot", NERVE),
    chat_row("Essential hypertension, no organ damage", "I10 - Essential (primary) hypertension"),
    chat_row("Type 2 diabetes, peripheral nerve damage in both legs", NERVE),
    chat_row("Mild asthma with a cough at night", "J45.909 - Unspecified asthma"),
)
TALK = {
    "messages": [
        {"role": "system", "content": "You code diagnoses."},
        {"role": "user", "content": "My patient has sugar disease and her feet burn."},
        {"role": "assistant", "content": "Which type does the note name?"},
        {"role": "user", "content": "Type 2, both feet."},
        {"role": "assistant", "content": POLY},
    ]
}
PAIR = {
    "prompt": "Summarise: cough of three weeks, lungs clear.",
    "chosen": "Cough for three weeks. Lungs clear.",
    "rejected": "Cough for three weeks. Antibiotics for ten days.",
}
LOOSE = {"text": "A loose paragraph to be read as it is."}


def begun(folder: Path, rows=PLAIN, *, overlap: float = 0, guideline: str = GUIDELINE) -> Path:
    """A project whose rows wait for dana."""
    folder.mkdir(exist_ok=True)
    start_project(folder)
    (folder / "rung.toml").write_text(SETTINGS.format(overlap=overlap))
    (folder / "guideline.md").write_text(guideline)
    with store_of(folder) as store:
        store.add([NewRow(Example(row), line=n) for n, row in enumerate(rows, 1)], role="pool")
    return folder


def store_of(folder: Path):
    """The project's store."""
    project = Project(folder)
    return open_store(project, load_settings(project.settings_file))


def decided_by(folder: Path, name: str, row: str, verdict: str, text: str | None = None) -> None:
    """Another person's decision, from another program."""
    project = Project(folder)
    desk = open_desk(project, load_settings(project.settings_file))
    settle(desk, name, verdict, row, text=text)
    desk.store.close()


def log(folder: Path) -> list[tuple[int, str, str]]:
    """(row, verdict, remark) of every entry of the log."""
    with store_of(folder) as store, store.read() as connection:
        return [tuple(each) for each in connection.execute(sql("select row_id, verdict, remark from decisions"))]


def stored(folder):
    """Id -> row of the project's store."""
    with store_of(folder) as store:
        return {row.id: row for row in store.rows()}


def drafts(folder):
    """Row -> the answer of a kept draft."""
    with store_of(folder) as store, store.read() as connection:
        kept = connection.execute(sql("select row_id, payload from drafts")).all()
    return {row_id(number): json.loads(payload)["messages"][-1]["content"] for number, payload in kept}


async def shown_item(pilot, *keys):
    """Press these keys; gives the item on the screen, once it is there and the next one is fetched."""
    await press(pilot, *keys)
    await until(pilot, lambda: pilot.app.screen.item is not None and not pilot.app.screen.busy)
    return pilot.app.screen.item


@contextlib.asynccontextmanager
async def reviewing(app, size=(80, 24)):
    """Run the program on Review; gives the program, its pilot and the first item."""
    async with playing(app, size) as (_, pilot):
        app.open_stage(4)
        yield app, pilot, await shown_item(pilot)

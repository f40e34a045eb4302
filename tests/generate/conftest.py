"""A project with reviewed rows, a test set and a guideline; models are scripted, or real clients on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.protocols import ChatModel
from curation.example import Example, chat_row
from curation.generate.run import DraftingResult, Session, Wish, generate
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.store import Store, open_store
from workspace.folder import Project
from workspace.settings import Settings, load_settings

LINES = {
    "E10 eye right": ["PDR OD in type 1 DM", "T1DM with NPDR of the R eye"],
    "E10 eye left": ["PDR OS in type 1 DM", "left eye NPDR, diabetes type 1"],
    "E11 kidney none": ["DM2 with CKD stage 3", "nephropathy in a type 2 diabetic"],
    "E11 nerve none": ["type 2 DM, polyneuropathy of both feet", "DM2, gastroparesis due to neuropathy"],
    "E09 none none": ["steroid induced diabetes, nothing else", "DM caused by prednisone, no complication"],
}
TEST = [("gangrene of the right foot in a patient with long standing type 2 diabetes", "E11 vascular none")]

Run = Callable[..., DraftingResult]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "rung.toml").write_text("")
    (tmp_path / "guideline.md").write_text("Never guess the side.\n")
    return Project(tmp_path)


@pytest.fixture
def settings(project: Project) -> Settings:
    return load_settings(project.settings_file, {})


@pytest.fixture
def store(project: Project, settings: Settings) -> Iterator[Store]:
    with open_store(project, settings) as opened:
        rows = [
            Example(chat_row(text, line, "House line.", code=text[:3]))
            for line, texts in LINES.items()
            for text in texts
        ]
        opened.add(rows, role="pool")
        opened.add([Example(chat_row(text, line, "House line.")) for text, line in TEST], role="test")
        yield opened


@pytest.fixture
def review(project: Project, settings: Settings, store: Store) -> Callable[..., None]:
    """`review(ids, verdict, reason)`: a decision by mo."""

    def rule(ids: list[str], verdict: str = "approve", reason: str = "") -> None:
        desk = open_desk(project, settings)
        decide_all(desk, "mo", [(name, Ruling(verdict, reason=reason)) for name in ids], kind="person")
        desk.store.close()

    return rule


@pytest.fixture
def reviewed(store: Store, review: Callable[..., None]) -> Store:
    review([row.id for row in store.rows(role="pool")])
    return store


@pytest.fixture
def run(project: Project, settings: Settings, store: Store) -> Run:
    """`run(model, count, strategy=..., budget_usd=...)`."""

    def make(model: ChatModel, count: int, **wish: Any) -> DraftingResult:
        return generate(Session(project, settings, store, model, Wish(count, **wish)))

    return make

"""A small frozen project, and a scripted model that learns from what it is shown."""

import bank
import pytest
from bank import PLACES, changed, freeze_by_hand, ladder, project_in, reply, rows_of
from loopback_server import serving
from scripted import Scripted

from curation.example import chat_row
from workspace.settings import load_settings


@pytest.fixture
def project(tmp_path):
    return project_in(tmp_path / "bank")


@pytest.fixture
def settings(project):
    return load_settings(project.settings_file, {})


@pytest.fixture
def free(settings):
    """Settings without a closed set of answers."""
    return changed(settings, closed_set="off")


@pytest.fixture
def model():
    return Scripted(reply, name="scripted-1")


@pytest.fixture
def baseline(project, settings, model):
    """The folder and the report of base and prompt."""
    return ladder(project, settings, model, goal=0.9)


@pytest.fixture(scope="session")
def kit():
    return bank


@pytest.fixture(scope="module")
def open_server():
    """A server for the tests of a file that share a measured project: its address is in the reports."""
    with serving() as fake:
        yield fake


@pytest.fixture
def unsure(project):
    """The project with two validation rows that a classifier gets wrong: it is not sure of every item."""
    odd = [chat_row("card lost in the rain now", "pin"), chat_row("pin wrong in the rain now", "card")]
    made = {"test": rows_of(PLACES, " today"), "train": rows_of(PLACES, " this week")}
    freeze_by_hand(project, "v002", validation=[*rows_of(PLACES, " now"), *odd], **made)
    return project

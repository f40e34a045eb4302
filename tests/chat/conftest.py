"""The embedded model, made once into the cache folder and loaded once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.local.embedded import embedded_model
from chat.local.load import load
from chat.local.model import LocalModel


@pytest.fixture(scope="session")
def embedded() -> Path:
    return embedded_model()


@pytest.fixture(scope="session")
def local(embedded: Path) -> LocalModel:
    return LocalModel(load("embedded", threads=1), batch=4)

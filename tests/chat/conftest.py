"""The embedded model, made once into the cache folder and loaded once a session."""

import pytest

from chat.local.embedded import embedded_model
from chat.local.load import load
from chat.local.model import LocalModel


@pytest.fixture(scope="session")
def embedded():
    return embedded_model()


@pytest.fixture(scope="session")
def local(embedded) -> LocalModel:
    return LocalModel(load("embedded", threads=1), batch=4)


@pytest.fixture
def keys(monkeypatch):
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "RUNG_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-tests-1234")
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-openai")

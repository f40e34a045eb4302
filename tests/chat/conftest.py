"""The embedded model, made once into the cache folder and loaded once a session."""

from pathlib import Path

import pytest
from llamas import make_llama

from chat.local.embedded import embedded_model
from chat.local.load import load
from chat.local.model import LocalModel


@pytest.fixture(scope="session")
def embedded():
    return embedded_model()


@pytest.fixture(scope="session")
def local(embedded) -> LocalModel:
    return LocalModel(load("embedded", threads=1), batch=4)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """The folder of a Llama of two layers with random weights and the embedded model's tokenizer."""
    folder = tmp_path_factory.mktemp("small") / "llama"
    make_llama(folder, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    return folder


@pytest.fixture
def keys(monkeypatch):
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "RUNG_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-tests-1234")
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-openai")

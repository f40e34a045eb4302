"""A model folder that rung.toml names is the project's, from wherever in the project a command runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import rung

from chat.local.load import find_model
from curation.example import chat_row
from rung.cli.data.generate import named_model
from rung.start import start_project
from workspace.folder import folder_named
from workspace.settings import ModelSettings, Settings

CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "vocab_size": 1000, "max_position_embeddings": 16,
}  # fmt: skip
LONG = "word " * 400


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below a project whose rung.toml names `models/tiny`; the command runs there."""
    start_project(tmp_path)
    (tmp_path / "rung.toml").write_text('[model]\nbase = "models/tiny"\n')
    model = tmp_path / "models" / "tiny"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(CONFIG))
    (model / "model.safetensors").write_bytes(bytes(8 * 1000 * 64))  # as many bytes as the config needs
    inside = tmp_path / "notes" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    return inside


def test_commands_read_it_from_below(below: Path) -> None:
    estimate = rung("estimate", "--fit", "24GB", "--method", "lora")
    assert estimate.returncode == 0 and "tiny" in estimate.stdout, estimate.stderr
    assert find_model("models/tiny") == (str(below.parent.parent / "models" / "tiny"), False), "the hub is not asked"
    rows = below.parent.parent / "rows.jsonl"
    rows.write_text("".join(json.dumps(chat_row(f"{n} {LONG}", str(n))) + "\n" for n in range(3)))
    assert rung("data", "import", str(rows)).returncode == 0
    found = json.loads(rung("data", "check", "--json").stdout)["findings"]
    assert [finding["rows"] for finding in found if finding["name"] == "over_long"] == [3], found


def test_a_flag_names_a_folder_that_stands_here_and_a_hosted_name_none(below: Path) -> None:
    assert folder_named("./models/tiny").is_dir() and folder_named(str(below)) == below
    (below / "mine").mkdir()
    settings = Settings(model=ModelSettings(base="models/tiny"))
    assert named_model(settings, "", "mine", "").base == str(below / "mine")
    assert named_model(settings, "", "models/tiny", "").base == "models/tiny"
    hosted = named_model(Settings(), "openai", "mine", "http://localhost:11434/v1")
    assert hosted.base == named_model(Settings(model=hosted), "", "mine", "").base == "mine"

"""A model folder that rung.toml names is the project's, from wherever in the project a command runs."""

import json
from pathlib import Path

import pytest
from in_process import rung
from rows_in_files import lines

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


def test_commands_below_a_project_find_the_folder_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_project(tmp_path)
    (tmp_path / "rung.toml").write_text('[model]\nbase = "models/tiny"\n')
    model, below = tmp_path / "models" / "tiny", tmp_path / "notes" / "deep"
    (below / "mine").mkdir(parents=True)
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(CONFIG))
    (model / "model.safetensors").write_bytes(bytes(8 * 1000 * 64))  # as many bytes as the config needs
    monkeypatch.chdir(below)
    estimate = rung("estimate", "--fit", "24GB", "--method", "lora")
    assert estimate.returncode == 0 and "tiny" in estimate.stdout, estimate.stderr
    assert find_model("models/tiny") == (str(model), False), "the hub is not asked"
    rows = lines(tmp_path / "rows.jsonl", [chat_row(f"{n} {LONG}", str(n)) for n in range(3)])
    rung("data", "import", rows, code=0)
    found = json.loads(rung("data", "check", "--json").stdout)["findings"]
    assert [finding["rows"] for finding in found if finding["name"] == "over_long"] == [3], found
    assert folder_named("./models/tiny").is_dir() and folder_named(str(below)) == below
    settings = Settings(model=ModelSettings(base="models/tiny"))
    assert named_model(settings, "", "mine", "").base == str(below / "mine"), "a flag names a folder that stands here"
    assert named_model(settings, "", "models/tiny", "").base == "models/tiny"
    hosted = named_model(Settings(), "openai", "mine", "http://localhost:11434/v1")
    assert hosted.base == named_model(Settings(model=hosted), "", "mine", "").base == "mine", "a hosted name is none"

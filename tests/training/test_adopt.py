"""`rung runs adopt`: a model that was trained elsewhere becomes a run, and everything says what nobody could check."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from released import judged, let

from evaluation.verdict.rule import newest_verdict
from training.release.releases import verify
from training.runs import read_runs
from workspace.folder import Project


def test_an_adapter_is_adopted_evaluated_and_released_and_unknown_rows_are_said_everywhere(
    own: Project, rung, clinic_lora
):
    done = rung("runs", "adopt", clinic_lora, "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["id"], run["state"], run["method"], run["dataset"]) == ("R-001", "finished", "lora", "v001")
    assert run["adopted"]["rows"] == "unknown" and run["base_fingerprint"]
    assert sorted(run["files"]) == ["adapter_config.json", "adapter_model.safetensors"]
    assert not list(own.runs.rglob("*.bin")), "pickles stay where they are"
    assert "unknown" in rung("runs", "list").stdout
    assert json.loads(rung("runs", "adopt", clinic_lora, "--json").stdout)["id"] == "R-001", "the same weights, one run"
    status = json.loads(rung("status", "--json").stdout)
    states = {stage["name"]: stage["state"] for stage in status["stages"]}
    assert (states["plan"], states["train"], status["next"]) == ("not_needed", "done", "verdict")
    done = rung("evaluate", "R-001", "--json")
    assert "Traceback" not in done.stderr and json.loads(done.stdout)["run"] == "R-001"
    assert any("rows" in note and "unknown" in note for note in json.loads(done.stdout)["notes"])
    judged(own, right=30)
    folder = let(own, "adapter,merged")
    assert verify(folder).faults == []
    card = (folder / "README.md").read_text()
    assert "clinic-lora" in card and "unknown" in card
    assert "R-001" in rung("why", folder.name).stdout


def test_an_export_whose_rows_are_unchanged_says_which_rows(own: Project, rung, clinic_lora, tmp_path):
    out = tmp_path / "out"
    assert rung("plan", "export", "trl", "-o", out).returncode == 0
    shutil.copytree(clinic_lora, out / "output" / "adapter")
    run = json.loads(rung("runs", "adopt", out / "output" / "adapter", "--json").stdout)
    assert run["adopted"]["rows"].startswith("v001")
    assert (run["plan"], run["system_prompt"]) == ("P-001", "House line.")
    assert any("not checked" in each for each in run["adopted"]["unchecked"])
    assert (own.runs / "R-001" / "plan.toml").read_bytes() == (out / "plan.toml").read_bytes()
    shutil.rmtree(own.runs)
    rows = out / "data" / "train.jsonl"
    rows.write_text(rows.read_text() + rows.read_text().splitlines()[0] + "\n")
    run = json.loads(rung("runs", "adopt", out / "output" / "adapter", "--json").stdout)
    assert run["adopted"]["rows"] == "unknown", "its rows are no longer those that left"


def test_a_merged_model_is_adopted_as_a_whole_model(own: Project, rung, tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "merged"))
    run = json.loads(rung("runs", "adopt", folder, "--json").stdout)
    assert run["method"] == "full" and run["adopted"]["source"] == "merged"
    assert rung("evaluate", "R-001", "--json").returncode in (0, 1)
    assert newest_verdict(own, "R-001") is not None


def linked(folder):
    weights = folder / "adapter_model.safetensors"
    weights.rename(folder.parent / "elsewhere.safetensors")
    weights.symlink_to(folder.parent / "elsewhere.safetensors")


def cut(folder):
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])


def configured(**more):
    def change(folder):
        config = folder / "adapter_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | more))

    return change


def emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


SPOILT: dict[str, Callable[[Path], object]] = {
    "pickle": lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
    "symlink": linked,
    "code": lambda folder: (folder / "modeling.py").write_text("raise SystemExit"),
    "cut": cut,
    "imports": configured(megatron_config={"a": 1}, megatron_core="antigravity"),
    "kind": configured(peft_type="PROMPT_TUNING"),
    "pipe": lambda folder: os.mkfifo(folder / "tokenizer.json"),
    "empty": emptied,
    "none": shutil.rmtree,
}


def test_what_could_run_or_is_no_adapter_is_refused_and_nothing_is_written(own: Project, rung, clinic_lora, tmp_path):
    for how, spoil in SPOILT.items():
        spoil(folder := Path(shutil.copytree(clinic_lora, tmp_path / how / "clinic-lora")))
        done = rung("runs", "adopt", folder, "--json")
        assert done.returncode == 2 and "Traceback" not in done.stderr, (how, done.stderr)
        assert json.loads(done.stdout)["error"]["where"].startswith(str(folder)), how
        assert read_runs(own) == [] and not list(own.runs.glob(".*")), how


def test_an_adapter_of_another_model_is_refused_where_it_is_asked(own: Project, rung, clinic_lora, tmp_path):
    """peft passes over tensors without a place: the base would answer, and nobody would know."""
    from safetensors.torch import load_file, save_file

    adapter = Path(shutil.copytree(clinic_lora, tmp_path / "clinic-lora"))
    weights = adapter / "adapter_model.safetensors"
    renamed = {
        name.replace("model.model.layers", "model.model.language_model.layers"): t
        for name, t in load_file(weights).items()
    }
    save_file(renamed, weights)
    assert rung("runs", "adopt", adapter).returncode == 0
    done = rung("evaluate", "R-001")
    assert done.returncode == 2 and "another model" in done.stderr and newest_verdict(own, "R-001") is None
